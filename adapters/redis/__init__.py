"""Storage in Redis, or in one slot of a Redis cluster. Each commit and each read is one script."""
