"""Databases for tests: on a server that a variable names, on one that is installed, or on one from a package."""
