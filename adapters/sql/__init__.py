"""Storage in SQLite, PostgreSQL or MariaDB, on SQLAlchemy Core and typed tables."""
