"""`userport openapi`"""

import orjson
import typer


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API in token mode, as JSON. Needs neither a storage nor a key."""
    # Imported late: it is slow, and other commands do not need it.
    from entrypoints.container import Container
    from entrypoints.http.app import create_app
    from entrypoints.settings import Auth, Settings

    app = create_app(Container(settings=Settings(storage="memory://", auth=Auth.TOKEN)))
    typer.echo(orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2))
