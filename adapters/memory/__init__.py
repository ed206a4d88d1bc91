"""Storage in the memory of one process, without persistence. The strictest store, used by unit tests."""
