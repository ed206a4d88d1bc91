"""The system clock, id generation and domain names."""
