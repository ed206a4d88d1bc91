"""Bugs that are planted on purpose, to see whether the storage contract notices them."""
