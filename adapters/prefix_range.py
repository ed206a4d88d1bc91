def prefix_upper_bound(prefix: str) -> str | None:
    """Return the first text, by code points, behind all that start with `prefix`; None if there is none."""
    head = prefix.rstrip("\U0010ffff")
    if not head:
        return None
    following = 0xE000 if head[-1] == "\ud7ff" else ord(head[-1]) + 1  # surrogates are not characters
    return head[:-1] + chr(following)
