"""Keys in PEM format (RFC 7468)."""

import logging
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

Key: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey | Ed25519PublicKey | EllipticCurvePublicKey

log = logging.getLogger("userport")

_BEGIN: Final = "-----BEGIN "
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_MAX_LENGTH: Final = 64 * 1024
_CREATE_HINT: Final = "make one by: userport keys new --out FILE"


def read(text_or_path: str) -> Sequence[Key]:
    """Read one or more keys. Raise `ValueError`, whose text says what is wrong, without any content.

    In a text, such as an environment variable, `\n` may stand for a line break.
    """
    if _BEGIN in text_or_path:
        return _parse(text_or_path.replace(r"\r", "").replace(r"\n", "\n"))
    if not text_or_path.strip():
        raise ValueError(f"it is empty: name a key file, or {_CREATE_HINT}")
    content, mode = _file(text_or_path)
    keys = _parse(content.decode(errors="replace"))
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s has a signing key and can be read by others than its owner: chmod 600 it", text_or_path)
    return keys


def _file(path: str) -> tuple[bytes, int]:
    """Return the content of a file, and its mode."""
    try:
        with Path(path).open("rb") as file:
            content, mode = file.read(_MAX_LENGTH + 1), os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        reason = (error.strerror if isinstance(error, OSError) else None) or "no such name"
        raise ValueError(f"it is neither a readable file ({reason}) nor a key in PEM format") from None
    if len(content) > _MAX_LENGTH:
        raise ValueError(f"the file is too large for a key file: name another one, or {_CREATE_HINT}")
    return content, mode


def _parse(text: str) -> Sequence[Key]:
    blocks = list(_BLOCK.finditer(text))
    if not blocks and _BEGIN not in text:
        raise ValueError(f"it contains no key in PEM format: name another file, or {_CREATE_HINT}")
    if len(blocks) != text.count(_BEGIN):
        raise ValueError("a key is truncated or damaged: every BEGIN line needs its END line")
    return [_key(block[1], block[0].encode()) for block in blocks]


def _key(label: str, block: bytes) -> Key:
    if "ENCRYPTED" in label or b"Proc-Type: 4,ENCRYPTED" in block:
        raise ValueError("a key is encrypted: save it without a passphrase")
    if label in {"EC PRIVATE KEY", "EC PARAMETERS"}:
        raise ValueError("a key is in an old format: convert it with openssl pkcs8 -topk8 -nocrypt")
    if label not in {"PRIVATE KEY", "PUBLIC KEY"}:
        raise ValueError(f"a block is neither PRIVATE KEY nor PUBLIC KEY: remove it, or {_CREATE_HINT}")
    try:
        key = load_pem_private_key(block, None) if label == "PRIVATE KEY" else load_pem_public_key(block)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"a key is damaged, or of an unknown kind: copy it again, or {_CREATE_HINT}") from None
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError(f"a key is neither Ed25519 nor P-256, such as an RSA key: {_CREATE_HINT}")
