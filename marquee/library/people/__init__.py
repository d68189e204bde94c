"""People in the library: whom faces show, as machines say, as somebody decided, and as somebody refused."""
