"""Deliberate bugs, to check that the storage contract notices them."""
