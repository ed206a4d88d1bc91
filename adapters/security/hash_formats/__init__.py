"""The supported formats of password hashes: userport's own, and those of other systems."""
