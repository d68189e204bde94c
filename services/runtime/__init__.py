"""What all servers share."""
