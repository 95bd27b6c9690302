"""The state directory's own key: it names tenants and this instance.

It is made once and kept, so that the same credential has the same name from run to run, and nobody
without the key can try out credentials against the names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32


def load_key(path: Path) -> bytes:
    """The key in the file `path`, made if there is none.  Raises OSError."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = os.urandom(_KEY_BYTES)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
    if len(key) != _KEY_BYTES:
        raise OSError(f"{path} should hold {_KEY_BYTES} bytes; remove it to have it made anew")
    return key
