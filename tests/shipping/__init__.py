"""What ships with the code: the ways in, the image, the unit, the proxies, the guides. As far as a machine can try."""
