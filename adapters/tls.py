"""Checks of TLS files when a storage is opened: drivers read them only when they connect."""

import ssl


def check_authorities(what: str, file: str) -> None:
    """Raise `ValueError`, which names the file as `what`, unless it contains certificates in PEM format."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise ValueError(f"{what} contains no certificate in PEM format") from None
    except (OSError, ValueError):
        raise ValueError(f"{what} does not exist or cannot be read") from None


def check_identity(what: str, certificate: str, key: str | None = None) -> None:
    """Raise `ValueError` unless a certificate and its key are in these files, or both in the first one."""
    try:
        # A passphrase, since the library would otherwise ask for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError:
        raise ValueError(
            f"{what} must contain a certificate and its own key, in PEM format without a passphrase"
        ) from None
    except (OSError, ValueError):
        raise ValueError(f"{what} does not exist or cannot be read") from None
