"""Mails: rendered from templates, and delivered by SMTP or into a directory."""
