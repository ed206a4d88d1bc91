from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """Tell the version that is installed; "unknown" where userport runs from a folder of its source."""
    try:
        return installed_version("userport")
    except PackageNotFoundError:
        return "unknown"
