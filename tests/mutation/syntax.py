"""Find code by its qualified name and a node of its syntax tree, rather than by its text."""

import ast
from collections.abc import Iterator
from typing import Final

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def replace_node(source: str, where: str, node: str, new: str) -> str:
    """Return a module's source with other text in place of a node.

    Args:
        where: The qualified name of a function, a class or an assigned variable, such as "Class.method"; empty for the
            module.
        node: A class of `ast`, with a number if there are several: "Compare" or "Compare 2".

    Raises:
        LookupError: There is no such node.
    """
    kind, _, number = node.partition(" ")
    nodes = [found for found in nodes_in(scope_of(ast.parse(source), where)) if type(found).__name__ == kind]
    if not number and len(nodes) > 1:
        raise LookupError(f"{where} has {len(nodes)} nodes of the kind {kind}: say which")
    index = int(number or 1) - 1
    if index >= len(nodes):
        raise LookupError(f"{where} has no {node}")
    start, end = span_of(source, nodes[index])
    return source[:start] + new + source[end:]


def scope_of(tree: ast.Module, where: str) -> ast.AST:
    scope: ast.AST = tree
    for name in where.split(".") if where else ():
        found = next((child for child in ast.iter_child_nodes(scope) if _name_of(child) == name), None)
        if found is None:
            raise LookupError(f"there is no {where}")
        scope = found
    return scope


def nodes_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all nodes in it, in the order of the source."""
    yield node
    for child in ast.iter_child_nodes(node):
        yield from nodes_in(child)


def span_of(source: str, node: ast.AST) -> tuple[int, int]:
    """Return the start and end of a node, in characters."""
    assert isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.ExceptHandler)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return _offset(source, node.lineno, node.col_offset), _offset(source, node.end_lineno, node.end_col_offset)


def _name_of(node: ast.AST) -> str | None:
    if isinstance(node, _SCOPES):
        return node.name
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return next((target.id for target in targets if isinstance(target, ast.Name)), None)


def _offset(source: str, line: int, column: int) -> int:
    lines = source.splitlines(keepends=True)
    before = sum(map(len, lines[: line - 1]))
    return before + len(lines[line - 1].encode()[:column].decode())
