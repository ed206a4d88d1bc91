from secrets import token_bytes


class SystemSecrets:
    """Bytes from the operating system's own generator."""

    def secret(self, size: int) -> bytes:
        return token_bytes(size)
