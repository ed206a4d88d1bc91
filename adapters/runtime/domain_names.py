import idna

from domain.errors import InvalidValue


class IdnaDomainNames:
    """IDNA 2008 (RFC 5891), after the mapping that UTS 46 makes of what people type; no transitional processing."""

    def to_ascii(self, domain: str) -> str:
        if domain.isascii() and "xn--" not in domain.lower():
            return domain.lower()  # a host name; IDNA would refuse some that exist, such as r3---sn.example
        try:
            return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
        except UnicodeError as error:  # idna.IDNAError is one
            raise InvalidValue("invalid_domain", "must have a valid domain name after the @") from error
