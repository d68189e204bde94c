"""Code generated from protos/marquee/library by `make proto`."""
