"""The centre: users, posts and what storage must promise. Imports the standard library alone."""
