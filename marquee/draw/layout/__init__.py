"""Where boxes, names and a legend stand."""
