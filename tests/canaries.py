"""Keys that no output may ever show, planted wherever the tests have a credential.

`tests.world.post` sends the client's with every request that has no other, so that nearly every
test of the suite carries it, whatever it is about; configurations with a key of the gateway's own
use the other.  `assert_clean` is applied to what the whole suite puts out: each event that is
logged in this process, each row, and every file that a gateway process leaves (its log, its
ledger); `tests.world` and ``tests/process/test_secrets.py`` look at what upstreams receive.
"""

from __future__ import annotations

CLIENTS_KEY = "canary-of-the-client-5ac1e0"
OWN_KEY = "canary-of-the-gateway-94b7d2"

_ALL = (CLIENTS_KEY, OWN_KEY)


def assert_clean(text: str | bytes, where: str) -> None:
    """Fail if a planted key is in `text`, which is what `where` names."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    for key in _ALL:
        assert key.encode() not in data, f"H8: a planted key is in {where}"
