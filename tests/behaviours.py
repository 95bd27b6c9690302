"""The catalogue ``docs/behaviours.rst`` and the tests that cite it, held together.

A test cites the behaviours that it shows at the start of its docstring: ``D3: …`` or ``D3, K4: …``.
`citations` reads that from the tests' source, `rows` reads the catalogue, and `with_tests` writes
the one into the other.  ``test_behaviours.py`` compares them.

    python tests/behaviours.py            write the catalogue's column of tests (make behaviours)
    python tests/behaviours.py D3 K4      name the tests that show these
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "docs" / "behaviours.rst"

_ID = r"[A-Z]\d+"
_CITATION = re.compile(rf"({_ID}(?:, {_ID})*): ")
_LOOKS_LIKE_CITATION = re.compile(rf"{_ID}\b")
_ROW = re.compile(
    rf"^   \* - (?P<id>{_ID})\n"
    r"(?P<behaviour>     - .+\n(?:       .+\n)*)"
    r"(?P<tests>     -.*\n(?:       .+\n)*)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Citation:
    """A test that shows a behaviour."""

    id: str
    file: str  #: from the project's root
    test: str  #: as pytest names it

    def __str__(self) -> str:
        return f"{self.file}::{self.test}"


def citations(folder: Path = ROOT / "tests", root: Path = ROOT) -> list[Citation]:
    """What the tests under `folder` cite.

    Raises ValueError for a docstring that begins with an id, but not as a citation does.
    """
    found = []
    for path in sorted(folder.rglob("test_*.py")):
        file = path.relative_to(root).as_posix()
        for name, docstring in _tests(ast.parse(path.read_text(encoding="utf-8")).body):
            match = _CITATION.match(docstring)
            if match:
                found += [Citation(id, file, name) for id in match[1].split(", ")]
            elif _LOOKS_LIKE_CITATION.match(docstring):
                raise ValueError(f"{file}::{name}: begins with an id, but not as in 'D3, K4: …'")
    return found


def rows(catalogue: str) -> dict[str, str]:
    """The tests' cell of each behaviour in the catalogue, by id.  Raises ValueError on a double."""
    cells: dict[str, str] = {}
    for row in _ROW.finditer(catalogue):
        if row["id"] in cells:
            raise ValueError(f"{row['id']} is listed twice")
        cells[row["id"]] = row["tests"]
    return cells


def with_tests(catalogue: str, cited: Iterable[Citation]) -> str:
    """The catalogue with its column of tests written anew."""
    files: dict[str, set[str]] = {}
    for citation in cited:
        files.setdefault(citation.id, set()).add(citation.file)

    def rewritten(row: re.Match[str]) -> str:
        lines = [f" | ``{file}``" for file in sorted(files.get(row["id"], ()))]
        cell = "\n      ".join(lines)
        return f"   * - {row['id']}\n{row['behaviour']}     -{cell}\n"

    return _ROW.sub(rewritten, catalogue)


def main(ids: Sequence[str]) -> int:
    """Name the tests of `ids`, or, without any, write the catalogue."""
    cited = citations()
    if ids:
        tests = [str(citation) for citation in cited if citation.id in ids]
        print("\n".join(tests) or f"no test cites {', '.join(ids)}")
        return 0 if tests else 1
    CATALOGUE.write_text(with_tests(CATALOGUE.read_text(encoding="utf-8"), cited), encoding="utf-8")
    return 0


def _tests(nodes: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and docstring of every test function, those in classes too."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            yield prefix + node.name, ast.get_docstring(node) or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
