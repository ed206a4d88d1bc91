"""Keys as they are written down (RFC 7468)."""

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
_MAKE_ONE: Final = "make one by: userport keys new --out FILE"


def read(text_or_path: str) -> Sequence[Key]:
    """Read at least one key. Raises `ValueError`, which says what is wrong and what to do, and nothing of the content.

    In a text, as an environment variable holds one, `\\n` may stand for a line break.
    """
    if _BEGIN in text_or_path:
        return _parse(text_or_path.replace(r"\r", "").replace(r"\n", "\n"))
    if not text_or_path.strip():
        raise ValueError(f"it is empty: name a file of keys, or {_MAKE_ONE}")
    content, mode = _file(text_or_path)
    keys = _parse(content.decode(errors="replace"))
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s has a signing key and can be read by others than its owner: chmod 600 it", text_or_path)
    return keys


def _file(path: str) -> tuple[bytes, int]:
    """Read a file, and the mode that it has."""
    try:
        with Path(path).open("rb") as file:
            content, mode = file.read(_MAX_LENGTH + 1), os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as error:  # the latter when no file can be named like this
        reason = (error.strerror if isinstance(error, OSError) else None) or "no such name"
        raise ValueError(f"it names no file that can be read ({reason}), and is no key in PEM itself") from None
    if len(content) > _MAX_LENGTH:
        raise ValueError(f"the file is too large to hold keys only: name another one, or {_MAKE_ONE}")
    return content, mode


def _parse(text: str) -> Sequence[Key]:
    blocks = list(_BLOCK.finditer(text))
    if not blocks and _BEGIN not in text:
        raise ValueError(f"there is no key in PEM in it: name another file, or {_MAKE_ONE}")
    if len(blocks) != text.count(_BEGIN):
        raise ValueError("a key is cut short or damaged: every BEGIN line needs its END line")
    return [_key(block[1], block[0].encode()) for block in blocks]


def _key(label: str, block: bytes) -> Key:
    if "ENCRYPTED" in label or b"Proc-Type: 4,ENCRYPTED" in block:
        raise ValueError("a key is encrypted, and nobody is there to be asked: write it without a passphrase")
    if label in {"EC PRIVATE KEY", "EC PARAMETERS"}:
        raise ValueError("a key is in an old form: convert it by openssl pkcs8 -topk8 -nocrypt")
    if label not in {"PRIVATE KEY", "PUBLIC KEY"}:
        raise ValueError(f"a block is neither PRIVATE KEY nor PUBLIC KEY: leave it out, or {_MAKE_ONE}")
    try:
        key = load_pem_private_key(block, None) if label == "PRIVATE KEY" else load_pem_public_key(block)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"a key is damaged, or of a kind that is not known: copy it again, or {_MAKE_ONE}") from None
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey | EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError(f"a key is neither Ed25519 nor P-256, as RSA keys are not: {_MAKE_ONE}")
