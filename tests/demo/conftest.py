"""What the tests of the simulated provider share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import Client


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that leaves at the end; whatever it did, no timer may be left then."""
    client = Client()
    yield client
    client.leave()
    assert client.clock.getDelayedCalls() == []
