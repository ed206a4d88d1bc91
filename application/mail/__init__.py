"""Use cases for mail: one-time links, their effects, and notices."""
