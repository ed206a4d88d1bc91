"""Databases for tests: on a server named by a variable, on an installed one, or on one from a package."""
