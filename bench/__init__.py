"""What a request costs in microseconds and a stream in bytes: `make bench`."""
