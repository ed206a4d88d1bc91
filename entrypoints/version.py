from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """Return the installed version; "unknown" in a plain source tree."""
    try:
        return installed_version("userport")
    except PackageNotFoundError:
        return "unknown"
