"""Measures userport beside its rivals, in turns, in one run: `make bench`."""
