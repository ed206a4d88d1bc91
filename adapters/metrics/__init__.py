"""Prometheus metrics, measured by decorators of ports."""
