"""What the tests of the admin listener share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.admin.asked import Asked, a_config


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """An admin listener on loopback, without a token."""
    return Asked(a_config(tmp_path))
