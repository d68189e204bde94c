"""Code generated from protos/marquee/v1 by `make proto`."""
