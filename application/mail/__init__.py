"""The mails that the mail port accepts."""
