from datetime import datetime


def timestamp(moment: datetime) -> str:
    """Write a UTC time as RFC 3339 with `Z` and exactly three decimals, the only form that userport gives out."""
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
