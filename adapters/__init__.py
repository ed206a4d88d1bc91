"""The driven side: what the ports ask for, one folder a technology. No folder imports another."""
