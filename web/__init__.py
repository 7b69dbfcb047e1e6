"""The public pages: frozen facts in, bytes out. The handlers are in `server/http`."""
