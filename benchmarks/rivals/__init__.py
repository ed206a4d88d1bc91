"""The same users served as others would: what userport is compared with. Runs in an environment of its own."""
