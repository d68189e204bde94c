"""The servers of Marquee. They speak gRPC to each other and import nothing of each other."""
