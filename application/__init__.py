"""The use cases. They depend on the domain and on ports, not on frameworks or drivers."""
