"""Storage in SQLite, PostgreSQL or MariaDB, by SQLAlchemy Core over typed tables."""
