"""Results that need no call: kept ones, and those of calls that others wait for, too."""
