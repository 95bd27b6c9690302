"""The kinds of log records: ids that stay, and the operators' table of them."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import gateway
from gateway.journal import Kind

OPERATIONS = Path(gateway.__file__).parents[1] / "docs" / "operations.rst"


def test_every_kind_is_in_the_operators_table_with_its_id() -> None:
    """O6: and the table has no other."""
    table = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(
        r"^   \* - ``(\w+)``\n     - ``([0-9a-f]{32})``\n     - \w", table, re.MULTILINE
    )
    assert dict(rows) == {kind.label: kind.value for kind in Kind}
    assert len(rows) == len(Kind)


def test_an_id_is_a_random_uuid() -> None:
    """O6: as sd-id128(3) wants it."""
    assert {uuid.UUID(hex=kind.value).version for kind in Kind} == {4}
