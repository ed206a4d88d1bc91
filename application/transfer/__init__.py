"""Copy, import and export the contents of a storage."""
