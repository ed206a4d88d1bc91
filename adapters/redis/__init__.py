"""Storage in Redis, or in one slot of a Redis cluster: a commit is one script, and so is every read."""
