"""Background jobs: staging them with what causes them, and running them when they are due."""
