"""Registering, changing and removing users."""
