"""The public pages: frozen facts in, bytes out. Who serves them is not known here."""
