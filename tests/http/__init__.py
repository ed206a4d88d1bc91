"""The HTTP contract, met through the whole application and, where that matters, on every store."""
