"""The REST interface; its contract is described by the OpenAPI document that it serves."""
