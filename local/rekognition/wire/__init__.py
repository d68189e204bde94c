"""AWS's JSON 1.1 protocol over HTTP."""
