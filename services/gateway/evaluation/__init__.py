"""What the studies of a gateway share: labelled pictures, its answers about them, and measures of these."""
