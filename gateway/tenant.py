"""Whose request this is, without keeping the credential: a short keyed hash of it.

The key is made once and kept in the state directory, so that the same credential has the same name
from run to run, and nobody without the key can try out credentials against the names.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from .http1 import Fields

_KEY_BYTES: Final = 32
_CREDENTIAL_FIELDS: Final = (b"authorization", b"x-api-key", b"x-goog-api-key")


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


def tenant_of(fields: Fields, key: bytes) -> str | None:
    """The name of whoever sent `fields`; None if they carry no credential."""
    for name in _CREDENTIAL_FIELDS:
        credential = fields.get(name)
        if credential:
            _, _, bare = credential.rpartition(b" ")  # the same key is the same tenant in any field
            return hashlib.blake2b(bare, key=key, digest_size=6).hexdigest()
    return None
