"""Statements, transactions, retries and batches, the same for every database."""
