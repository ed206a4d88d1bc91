"""The use cases around mail: one-time links, what they do, and notices."""
