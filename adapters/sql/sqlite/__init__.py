"""SQLite, through the standard library's driver."""
