from datetime import datetime


def timestamp(moment: datetime) -> str:
    """Format a UTC time as RFC 3339 with `Z` and exactly three decimals, userport's only time format."""
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
