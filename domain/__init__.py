"""The domain: users, posts, and the storage port. Imports only the standard library."""
