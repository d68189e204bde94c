"""The recognizers behind the gateway: how they are called, and what of their answers can be used."""
