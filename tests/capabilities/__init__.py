"""What each store has shown, and the table of it in the documentation."""
