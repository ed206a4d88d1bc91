"""The driven side: implementations of the ports, one package per technology. No package imports another."""
