"""Secrets: where they are, never what they are.

A file says ``env:NAME``, ``file:/path`` or ``credential:NAME``.  No problem that is reported from
here repeats anything of the value that was written, because people paste keys into every form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .model import Family, Secret
from .problem import BadValue

_FORMS = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"/.+"),
    "credential": re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"),
}
_RIGHT = "write env:NAME, file:/path or credential:NAME"

#: What a header may carry without quoting or folding, and what no key of any API goes beyond.
_CONTENT = re.compile(r"[!-~]+")
_LONGEST = 16 * 1024

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")

_KEY_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:: ?[A-Za-z][A-Za-z-]{0,19})?")

_DEFAULT_HEADERS = {
    Family.ANTHROPIC: "x-api-key",
    Family.GEMINI: "x-goog-api-key",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is.  What was written is not shown, since it may be the secret itself."""

    form: str
    name: str = field(repr=False)


def reference(text: str) -> Reference:
    """The reference in a value; raises `BadValue`."""
    form, separator, name = text.partition(":")
    if not separator or form not in _FORMS:
        raise BadValue(
            f"this is not a reference, and a key itself never goes into a file, {_RIGHT}"
        )
    if not _FORMS[form].fullmatch(name):
        raise BadValue(f"what follows {form}: is not valid there, {_RIGHT}")
    return Reference(form, name)


def resolve(ref: Reference, environ: Mapping[str, str]) -> Secret:
    """The secret that a reference names, white space around it removed; raises `BadValue`."""
    if ref.form == "env":
        text = environ.get(ref.name)
        if text is None:
            raise BadValue("the environment variable is not set, set it or write file:/path")
    elif ref.form == "file":
        text = _read(Path(ref.name))
    else:
        text = _read(credential_file(ref.name, environ, "env:NAME or file:/path"))
    text = text.strip()
    if not text:
        raise BadValue("the secret is empty, put the key there")
    if len(text) > _LONGEST or not _CONTENT.fullmatch(text):
        raise BadValue("the secret is not a single word of visible ASCII, put the key alone there")
    return Secret(f"{ref.form}:{ref.name}", text)


def credential_file(name: str, environ: Mapping[str, str], instead: str = "a path") -> Path:
    """Where systemd put a credential (systemd.exec(5)); `instead` is what else could be written.

    Raises `BadValue`.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise BadValue(
            "there are no credentials ($CREDENTIALS_DIRECTORY is not set), "
            f"write LoadCredential= into the systemd unit, or {instead} here"
        )
    return Path(folder) / name


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(_LONGEST + 2)
    except OSError as error:
        raise BadValue(
            f"the secret's file cannot be read ({error.strerror}), make it readable or name another"
        ) from None


def sha256_digest(text: str) -> bytes:
    """The digest that 64 hexadecimal digits write; raises `BadValue`."""
    if not _SHA256.fullmatch(text):
        raise BadValue(
            "not a SHA-256 digest, and a key itself never goes into a file, write the 64 "
            "hexadecimal digits that `printf %s KEY | sha256sum` prints"
        )
    return bytes.fromhex(text)


def digest_of(key: Secret) -> bytes:
    """What is kept of a client's key."""
    return hashlib.sha256(key.reveal().encode("ascii")).digest()


def key_header(text: str) -> str:
    """``Name`` or ``Name: Scheme``: the header that carries the key, without the key."""
    if not _KEY_HEADER.fullmatch(text):
        raise BadValue(
            "not the name of a header, with or without a scheme, "
            "write one such as x-api-key or Authorization: Bearer"
        )
    return text


def default_key_header(family: Family) -> str:
    """Where a family's API looks for a key (vendors' API references)."""
    return _DEFAULT_HEADERS.get(family, "Authorization: Bearer")
