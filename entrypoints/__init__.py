"""The driving side: HTTP, the command line, and the root where everything is put together."""
