"""Overridden internals of libraries exist, and version bounds hold back releases that have not been checked."""

import inspect
import pkgutil
import re
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response, routing

import entrypoints.http

_LIBRARIES: Final = ("fastapi", "httptools", "starlette", "uvicorn")
_PROJECT: Final = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


def _subclasses() -> Iterator[type]:
    """Yield our classes whose parent belongs to one of the libraries."""
    packages = pkgutil.walk_packages(entrypoints.http.__path__, "entrypoints.http.")
    names = [package.name for package in packages if not package.name.endswith(".main")]
    for name in (*names, "entrypoints.cli.draining", "entrypoints.cli.server"):
        for one in vars(import_module(name)).values():
            if inspect.isclass(one) and one.__module__ == name and _library_parents(one):
                yield one


def _library_parents(one: type) -> list[type]:
    return [parent for parent in one.__mro__ if parent.__module__.partition(".")[0] in _LIBRARIES]


def test_there_are_such_classes() -> None:
    assert {"PrecompiledRoute", "CrossOriginMiddleware", "DrainingServer", "JsonRequest"} <= {
        one.__name__ for one in _subclasses()
    }


@pytest.mark.parametrize("one", list(_subclasses()), ids=lambda one: one.__name__)
def test_every_public_method_of_a_subclass_overrides_one_of_the_library(one: type) -> None:
    own = {name for name, value in vars(one).items() if inspect.isroutine(value) and not name.startswith("_")}
    assert own <= {name for parent in _library_parents(one) for name in vars(parent)}


@pytest.mark.parametrize("library", [*_LIBRARIES, "prometheus-client"])
def test_a_library_of_which_internals_are_used_has_an_upper_bound(library: str) -> None:
    (requirement,) = [one for one in _PROJECT["project"]["dependencies"] if re.match(rf"{library}\b(?!-)", one)]
    assert "<" in requirement


def test_fastapi_tells_which_inclusion_of_a_route_it_asks_for_a_handler() -> None:
    inclusions: list[Any] = []

    class Route(routing.APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inclusions.append(routing._effective_route_context_var.get())  # noqa: SLF001
            return super().get_route_handler()

    router = APIRouter(route_class=Route)
    router.add_api_route("/things", lambda: None)
    app = FastAPI()
    app.include_router(router, prefix="/prefix", dependencies=[Depends(lambda: None)])
    (context,) = routing.iter_route_contexts(app.routes[-1:])
    assert inclusions[0] is None
    assert inclusions[1].original_route is context.original_route is router.routes[0]
    assert inclusions[1].path == context.path == "/prefix/things"
    assert len(inclusions[1].dependant.dependencies) == 1
