"""Passwords, secrets, and the keys and tokens of those who are signed in."""
