"""The library's notifications, as a client has them."""
