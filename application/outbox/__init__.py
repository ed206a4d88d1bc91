"""The transactional outbox: mails and their links, staged in the commit that causes them, and their delivery."""
