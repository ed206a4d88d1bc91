from ipaddress import IPv6Address, IPv6Network, ip_address


def network_of(address: str) -> str:
    """Name what one subscriber has: an IPv4 address, or the /64 that an IPv6 address is in (RFC 6177, section 2)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed) >> 64 << 64, 64)))
