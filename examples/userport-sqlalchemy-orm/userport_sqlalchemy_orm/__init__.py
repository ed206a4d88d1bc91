"""Storage for userport with the ORM of SQLAlchemy, on SQLite and PostgreSQL."""
