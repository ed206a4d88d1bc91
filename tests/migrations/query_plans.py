"""The plans with which a database executes statements, and the parts of a plan whose cost grows with a table."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Engine, event

from adapters.sql.engine.backend import Backend
from adapters.sql.engine.statements import BoundStatement
from tests.storage.sql_statements import inserts_by_sqlalchemy, observed_reads

Fault: TypeAlias = Literal["scans", "filters", "sorts"]
"""Scanning a whole table or index; reading rows in order to filter out most; sorting more than requested."""

_TELLS_NOTHING: Final = ("BEGIN", "COMMIT", "EXPLAIN", "PRAGMA", "RELEASE", "RESET", "ROLLBACK", "SAVEPOINT", "SET ")
_REMOVED: Final = re.compile(
    r"users\.email_key IS NOT NULL"
    r"|NOT \(EXISTS \(SELECT \*\s+FROM removed_users\s+WHERE removed_users\.user_id = \w+\.\w+\)\)"
)
_IS_LIVE: Final = "(email_key IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Plan:
    statement: str
    text: str
    faults: frozenset[Fault]


@contextmanager
def explained() -> Iterator[list[Plan]]:
    """Explain every statement directly before it is sent, within its transaction if it has one."""
    plans: list[Plan] = []

    async def explain_read(backend: Backend, statement: BoundStatement) -> None:
        text, arguments = statement
        plans.append(
            await backend.transact(lambda connection: _PLANS[connection.dialect.name](connection, text, arguments))
        )

    def explain(
        connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        if not statement.lstrip().upper().startswith(_TELLS_NOTHING):
            plans.append(_PLANS[connection.dialect.name](connection, statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        with inserts_by_sqlalchemy(), observed_reads(explain_read):
            yield plans
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def _has_conditions(statement: str) -> bool:
    """Return whether a statement filters by more than users who are being removed, who are few."""
    return "WHERE" in re.sub(r"WHERE TRUE(?! AND)", "", _REMOVED.sub("TRUE", statement))


def _is_limited(statement: str) -> bool:
    return " LIMIT " in statement.replace("\n", " ")


def _in_sqlite(connection: Connection, statement: str, parameters: Any) -> Plan:
    steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    made = {found[1] for step in steps if (found := re.match(r"(?:CO-ROUTINE|MATERIALIZE) (\S+)", step))}
    faults: set[Fault] = set()
    for step in steps:
        scanned = re.match(r"SCAN (\S+)(.*)", step)
        if scanned and scanned[1] not in made and not re.search(r"CONSTANT ROW|VIRTUAL TABLE", step):
            if " USING " not in scanned[2] or not _is_limited(statement):
                faults.add("scans")
            elif _has_conditions(statement):
                faults.add("filters")
        if "TEMP B-TREE" in step and _is_limited(statement):
            faults.add("sorts")
        if "AUTOMATIC" in step:  # an index built for this one statement
            faults.add("scans")
    return Plan(statement, "\n".join(steps), frozenset(faults))


def _in_postgresql(connection: Connection, statement: str, parameters: Any) -> Plan:
    # For few rows a scan is cheaper than any index. The question here is whether a suitable index exists.
    connection.exec_driver_sql("SET enable_seqscan = off")
    found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    connection.exec_driver_sql("RESET enable_seqscan")
    root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    faults = frozenset(_faults_of_node(root, reads=root["Node Type"] != "ModifyTable", limited=False))
    return Plan(statement, json.dumps(_shortened(root), indent=1), faults)


def _faults_of_node(node: Mapping[str, Any], *, reads: bool, limited: bool) -> Iterator[Fault]:
    """Yield the faults of a node; `limited` says whether its parent stops it early."""
    kind: str = node["Node Type"]
    if set(_relations(node)) == {"removed_users"}:
        return  # nearly always empty
    if kind == "Seq Scan":
        yield "scans"
    if kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"} and "Index Cond" not in node and not limited:
        yield "scans"
    if kind in {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"} and reads and not _is_live(node):
        yield "filters"
    if kind == "Sort" and limited:
        yield "sorts"
    if kind == "Limit":
        limited = True
    elif kind in {"Sort", "Aggregate", "Hash", "SetOp"}:  # these read all input before any output
        limited = False
    for child in node.get("Plans", ()):
        yield from _faults_of_node(child, reads=reads, limited=limited)


def _relations(node: Mapping[str, Any]) -> Iterator[str]:
    if "Relation Name" in node:
        yield node["Relation Name"]
    for child in node.get("Plans", ()):
        yield from _relations(child)


def _is_live(node: Mapping[str, Any]) -> bool:
    """Return whether a node only filters users who are being removed."""
    return node.get("Filter", _IS_LIVE) in {_IS_LIVE, f"(users.{_IS_LIVE[1:]}"}


def _shortened(node: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = ("Node Type", "Index Name", "Relation Name", "Index Cond", "Filter", "Sort Key")
    shown = {name: node[name] for name in kept if name in node}
    return {**shown, "Plans": [_shortened(child) for child in node["Plans"]]} if "Plans" in node else shown


def _in_mariadb(connection: Connection, statement: str, parameters: Any) -> Plan:
    # It also names indexes that it might have used.
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings()
    steps = [{name: row[name] for name in row if name != "possible_keys"} for row in rows]
    faults: set[Fault] = set()
    for step in steps:
        extra = step["Extra"] or ""
        stored = step["table"] not in {None, "removed_users"} and not step["table"].startswith("<")
        stored = stored and step["select_type"] != "INSERT"
        if stored and (step["type"] == "ALL" or (step["type"] == "index" and not _is_limited(statement))):
            faults.add("scans")
        if stored and step["type"] == "index" and "Using where" in extra and _has_conditions(statement):
            faults.add("filters")
        if _is_limited(statement) and ("filesort" in extra or "temporary" in extra):
            faults.add("sorts")
    return Plan(statement, "\n".join(map(str, steps)), frozenset(faults))


_PLANS: Final = {"sqlite": _in_sqlite, "postgresql": _in_postgresql, "mysql": _in_mariadb, "mariadb": _in_mariadb}


def format_plans(plans: Iterable[Plan]) -> str:
    return "\n\n".join(f"{', '.join(sorted(plan.faults))}: {plan.statement}\n{plan.text}" for plan in plans)
