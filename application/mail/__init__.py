"""Mails, as the port takes them."""
