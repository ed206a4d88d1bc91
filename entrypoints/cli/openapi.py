"""`userport openapi`"""

import typer


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API in token mode, as JSON. Needs neither a storage nor a key."""
    import orjson

    from entrypoints.container import Container
    from entrypoints.environment import Auth
    from entrypoints.http.app import create_app
    from entrypoints.settings import Settings

    app = create_app(Container(settings=Settings(storage="memory://", auth=Auth.TOKEN)))
    typer.echo(orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2))
