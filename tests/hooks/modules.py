"""Hook modules and configurations for the processes of ``test_process.py``, as their text."""

from __future__ import annotations

from typing import Final

#: Does what the header ``X-Do`` of a request says, and passes that header on to nobody.  ``event``
#: sees no request: it does once what the last one said.
HOOKS: Final = """
import json
import sys
import time

from twisted.internet.defer import CancelledError, Deferred

_SPLIT = "a\\r\\nX-Evil: 1\\r\\n\\r\\nPOST /evil HTTP/1.1"
_last = ""


def _act(name, do):
    what, _, hook = do.partition("-")
    if hook != name:
        return None
    if what == "raise":
        raise RuntimeError(do)
    if what == "exit":
        sys.exit(do)
    if what == "block":
        time.sleep(1.05)
    return 17 if what == "nonsense" else None


async def _wait():
    print("hook waits", file=sys.stderr, flush=True)
    try:
        await Deferred()
    except CancelledError:
        print("hook was cancelled", file=sys.stderr, flush=True)
        raise


def request(head):
    global _last
    _last = do = head.headers.get("X-Do") or ""
    head.headers.remove("X-Do")
    head.tag("did", do)
    if do == "change":
        head.headers.set("X-From-Hook", "request")
    if do == "split":
        head.headers.set("X-Split", _SPLIT)
    if do == "refuse":
        head.refuse(402, "not today")
    return _wait() if do == "wait" else _act("request", do)


def response(head):
    head.tag("status", str(head.status))
    if _last == "change":
        head.headers.set("X-From-Hook", "response")
    if _last == "split":
        head.headers.set("X-Split", _SPLIT)
    return _act("response", _last)


def event(block):
    global _last
    do = _last
    if do.endswith("-event"):
        _last = ""
    return _act("event", do)


def settled(row):
    return _act("settled", json.loads(row["tags"] or "{}").get("did", ""))
"""

#: Two upstreams; only the first is called as in the example, and costs a dollar and a half.
COSTLY: Final = """\
[upstream vllm]
url = {url}
dialect = openai
pool_size = 0

[upstream cheap]
url = {url}
dialect = openai
pool_size = 0

[route vllm]
path = /vllm/*
strip_prefix = /vllm
upstream = vllm

[route cheap]
path = /cheap/*
strip_prefix = /cheap
upstream = cheap

[prices costly]
upstream = vllm
model = *
input = 0
output = 500000

[prices cheap]
upstream = cheap
model = *
input = 0
output = 1

[hooks]
module = {module}
"""
