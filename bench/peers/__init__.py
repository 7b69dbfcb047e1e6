"""The gateway beside others on the same work: `make bench-peers`."""
