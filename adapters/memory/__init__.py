"""Storage in the memory of one process: nothing outlives it. The strictest store, and the one for unit tests."""
