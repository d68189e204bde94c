"""What bounds the strings and repeated fields of the contract, a table for each of its files."""
