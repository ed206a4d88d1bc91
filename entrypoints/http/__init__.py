"""The JSON API. The OpenAPI document that it serves describes its contract."""
