"""Other apps that serve the same users, for comparison. They run in an environment of their own."""
