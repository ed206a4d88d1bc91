"""Pages for people, over the calls of the HTTP API."""
