"""Posts of users."""
