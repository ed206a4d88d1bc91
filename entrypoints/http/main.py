"""The app as a module attribute, for `fastapi run`; `userport serve` does not need it."""

from entrypoints.http.app import create_app_from_environment

app = create_app_from_environment()
