"""Results of recognition, as the page shows them."""
