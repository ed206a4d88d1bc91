from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address

_SUBNET_BITS = 64
_SITE_BITS = 48


def network_of(address: str) -> str:
    """Return the network of one subscriber: an IPv4 address, or the /64 of an IPv6 address (RFC 6177, section 2)."""
    return networks_of(address)[0]


def ip_text(address: str | None) -> str:
    """Return an IP address for display, or "unknown" for anything else, which a proxy may have passed on."""
    try:
        return str(ip_address((address or "").partition("%")[0]))
    except ValueError:
        return "unknown"


def networks_of(address: str) -> Sequence[str]:
    """Return an IPv4 address, or the /64 and the /48 of an IPv6 address: many subscribers get a /48."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return [address]
    if not isinstance(parsed, IPv6Address):
        return [str(parsed)]
    if parsed.ipv4_mapped:
        return [str(parsed.ipv4_mapped)]
    return [str(IPv6Network((int(parsed), bits), strict=False)) for bits in (_SUBNET_BITS, _SITE_BITS)]
