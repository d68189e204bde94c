"""Code generated from protos/marquee/library/v1 by `make proto`."""
