"""Storage for userport with Piccolo ORM, on PostgreSQL."""
