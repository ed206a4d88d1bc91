"""Measure userport and its rivals alternately in one run: `make bench`."""
