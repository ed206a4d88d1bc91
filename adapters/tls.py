"""Checks of the files that TLS needs, made when a storage is opened: drivers look at them when they first connect."""

import ssl


def check_authorities(what: str, file: str) -> None:
    """Raise `ValueError`, which says `what` the file is but not where, unless it holds certificates in PEM format."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise ValueError(f"{what} holds no certificate in PEM format") from None
    except (OSError, ValueError):
        raise ValueError(f"{what} does not exist, or cannot be read") from None


def check_identity(what: str, certificate: str, key: str | None = None) -> None:
    """Raise `ValueError`, as above, unless a certificate and its key are in these files, or both in the first one."""
    try:
        # With a passphrase, since the terminal would be asked for it otherwise.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError:
        raise ValueError(f"{what} must hold a certificate and its own key, as PEM and without a passphrase") from None
    except (OSError, ValueError):
        raise ValueError(f"{what} does not exist, or cannot be read") from None
