"""The state directory's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.statekey import load_key


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tenant.key"
    key = load_key(path)
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="should hold 32 bytes"):
        load_key(path)
