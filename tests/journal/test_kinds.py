"""The kinds of log records: ids that stay, and the operators' table of them."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import gateway
from gateway.journal import Kind
from gateway.journal.fields import ABOUT
from gateway.record import COLUMNS

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


def test_what_operators_are_told_to_ask_for_is_there() -> None:
    """O6: the ids and the fields that the shown queries name."""
    shown = OPERATIONS.read_text(encoding="utf-8")
    ids = re.findall(r"MESSAGE_ID=(\w+)", shown)
    assert ids
    assert set(ids) <= {kind.value for kind in Kind}
    fields = re.findall(r"GATEWAY_([A-Z][A-Z_]*[A-Z])", shown)
    assert fields
    assert {field.lower() for field in fields} <= {*COLUMNS, *ABOUT}
