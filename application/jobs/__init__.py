"""Background jobs: stage them with their cause, and run them when they are due."""
