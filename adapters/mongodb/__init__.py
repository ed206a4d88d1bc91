"""Storage in MongoDB 5 or newer, run as a replica set, through PyMongo's asynchronous client."""
