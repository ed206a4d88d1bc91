"""What differs from database to database: one module each, and nowhere else."""
