"""Statements, transactions, retries and batches, shared by all databases."""
