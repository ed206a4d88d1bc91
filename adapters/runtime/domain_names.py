import idna

from domain.errors import InvalidValue


class IdnaDomainNames:
    """IDNA 2008 (RFC 5891) after the UTS 46 mapping for user input, without transitional processing."""

    def to_ascii(self, domain: str) -> str:
        if domain.isascii() and "xn--" not in domain.lower():
            return domain.lower()  # a host name; IDNA would reject existing ones, such as r3---sn.example
        try:
            return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
        except UnicodeError as error:  # idna.IDNAError is a subclass
            raise InvalidValue("invalid_domain", "must have a valid domain name after the @") from error
