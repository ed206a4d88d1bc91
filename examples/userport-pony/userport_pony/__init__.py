"""Storage for userport by Pony ORM, in a SQLite file."""
