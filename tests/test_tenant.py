"""Tenants without keys: the same name for the same credential, and nothing of it in the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.http1 import Fields
from gateway.tenant import load_key, tenant_of

KEY = b"k" * 32


def test_the_same_credential_is_the_same_tenant_in_whatever_field_it_comes() -> None:
    names = {
        tenant_of(Fields([(field, value)]), KEY)
        for field, value in [
            (b"Authorization", b"Bearer sk-canary"),
            (b"x-api-key", b"sk-canary"),
            (b"X-Goog-Api-Key", b"sk-canary"),
        ]
    }
    (name,) = names
    assert name is not None
    assert "canary" not in name
    assert tenant_of(Fields([(b"x-api-key", b"sk-other")]), KEY) != name
    assert tenant_of(Fields([(b"x-api-key", b"sk-canary")]), b"j" * 32) != name
    assert tenant_of(Fields([(b"x-api-key", b"")]), KEY) is None


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tenant.key"
    key = load_key(path)
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="should hold 32 bytes"):
        load_key(path)
