"""Where the names of a hook module are given their values: for what is told of them.

A function knows its own line, but that may be one of another file; a class and a number know none.
"""

from __future__ import annotations

import ast
from typing import Any


class Bindings(ast.NodeVisitor):
    """The lines of a module's source that bind names outside of functions and classes.

    Of a name that is bound several times, the last.
    """

    def __init__(self, source: bytes) -> None:
        """`source` is Python that can be compiled."""
        self._lines: dict[str, int] = {}
        #: What is imported: where from, by the name in the module.
        self.imported: dict[str, str] = {}
        self.visit(ast.parse(source))

    def line(self, name: str) -> int:
        """The line of a name; 1 if no statement shows where it comes from."""
        return self._lines.get(name, 1)

    def _bind(self, name: str, node: ast.AST, imported: str | None = None) -> None:
        self._lines[name] = getattr(node, "lineno", 1)
        self.imported.pop(name, None)
        if imported is not None:
            self.imported[name] = imported

    def _define(self, node: Any) -> None:
        self._bind(node.name, node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _define  # noqa: N815 - ast's

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """What is bound in there is not the module's."""

    def visit_Name(self, node: ast.Name) -> None:
        """An assignment, or only a use."""
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, node)

    def visit_Import(self, node: ast.Import) -> None:
        """``import a.b`` binds a; ``import a.b as c`` binds c."""
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0], node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from a import b``."""
        for alias in node.names:
            self._bind(alias.asname or alias.name, node, node.module or "")
