"""Every section and key that a file may have: the one table of them.

Defaults, ranges, what is unknown, and the reference that operators read (``conf/gateway.ini``, held
to this table by a test) all come from here.  To add a key: add it to `process_keys` or to
`route_keys`, to the model, and to the reference; its value then reaches the model by the key's
name, or by `Key.field`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .key import Key
from .process_keys import CLIENT, GATEWAY, HOOKS, LEDGER
from .route_keys import MATCHING, POLICY, PRICES, UPSTREAM

#: Kind of section to its keys.
SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "gateway": GATEWAY,
    "ledger": LEDGER,
    "hooks": HOOKS,
    "defaults": POLICY,
    "client": CLIENT,
    "upstream": UPSTREAM,
    "prices": PRICES,
    "route": {**MATCHING, **POLICY},
}

#: The kinds whose header has a name after it, of which there can be several.
NAMED = frozenset({"client", "upstream", "prices", "route"})


def title(kind: str) -> str:
    """A kind of section as its header is written."""
    return f"[{kind} NAME]" if kind in NAMED else f"[{kind}]"
