from secrets import token_bytes


class SystemSecrets:
    """Random bytes from the operating system."""

    def secret(self, size: int) -> bytes:
        return token_bytes(size)
