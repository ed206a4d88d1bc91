"""Render mails from templates, and deliver them by SMTP or into a directory."""
