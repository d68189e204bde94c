"""Pictures: added, shown, and what happened to them."""
