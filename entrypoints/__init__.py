"""The driving side: HTTP, the command line, and the composition root."""
