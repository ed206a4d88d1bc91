from collections.abc import Iterator, Sequence

from benchmarks.bench.results import Measurement, StoreResults, ratio


def tables(found: StoreResults) -> str:
    """Return the results on one store as two tables in Markdown."""
    rest = [
        [name, f"{app.summary()['seconds_to_first_answer']:.2f}", f"{app.summary()['idle_mebibytes']:.0f}"]
        for name, app in found.at_rest.items()
    ]
    load = [list(_cells(found, measured)) for measured in found.measured]
    return "\n".join(
        [
            f"## {found.version}\n",
            *_table(["app", "s to the first answer", "MiB at rest"], rest),
            "",
            *_table(["call", "connections", "app", "requests/s", "p50 ms", "p99 ms", "userport is", "failed"], load),
            "",
        ]
    )


def _cells(found: StoreResults, measured: Measurement) -> Iterator[str]:
    yield measured.call
    yield str(measured.connections)
    yield measured.app
    yield f"{measured.requests_per_second:,.0f}"
    yield f"{measured.p50_milliseconds:.2f}"
    yield f"{measured.p99_milliseconds:.2f}"
    userport = found.userport_beside(measured)
    yield "" if userport is None else f"{ratio(userport, measured):.2f}×"
    yield f"{measured.failed:,}" if measured.failed else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for cells in (head, ["-" * width for width in widths], *rows):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
