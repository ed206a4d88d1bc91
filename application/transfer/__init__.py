"""Everything a storage holds, on its way into another one or a file."""
