"""Storage for userport with Pony ORM, in a SQLite file."""
