"""The use cases: what the service does, in terms of the domain and of ports alone."""
