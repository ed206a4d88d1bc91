"""Storage in MongoDB, version 5 or newer, run as a replica set; by PyMongo's own asynchronous client."""
