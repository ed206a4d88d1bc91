from base64 import b64decode, b64encode
from binascii import Error


def decode(text: str, *, padded: bool) -> bytes | None:
    """Decode standard base64 (RFC 4648), with or without padding; return None for anything else."""
    try:
        decoded = b64decode(text if padded else text + "=" * (-len(text) % 4), validate=True)
    except Error:
        return None
    encoded = b64encode(decoded).decode("ascii")
    return decoded if text == (encoded if padded else encoded.rstrip("=")) else None
