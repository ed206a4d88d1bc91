"""Password hashes, random secrets, signing keys and access tokens."""
