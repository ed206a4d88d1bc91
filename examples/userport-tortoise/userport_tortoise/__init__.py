"""Storage for userport with Tortoise ORM, on SQLite and PostgreSQL."""
