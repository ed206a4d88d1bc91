"""Storage in one table of Amazon DynamoDB."""
