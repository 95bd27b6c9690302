r"""``listen``: Twisted's endpoint strings, as far as this gateway listens on them.

The grammar is that of `twisted.internet.endpoints.serverFromString`: a kind and its arguments
between colons, each with or without its name, ``\`` before a ``:`` or ``=`` that is part of a
value.  Checking them here instead of calling that function finds what it leaves to a traceback or
to the moment of listening (a wrong name, a port out of range), touches no reactor and reads no
files.

``haproxy:`` is left out on purpose: whoever reaches such a port may claim any address for itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .problem import BadValue, listed, nearest
from .secret import credential_file, reference

#: Kind to names of arguments, in the order in which Twisted takes them where no name is given.
_KINDS = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "backlog", "interface"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "ssl": (
        "port", "privateKey", "certKey", "sslmethod", "interface", "backlog", "extraCertChain",
        "dhParameters",
    ),
    "tls": ("path", "port", "backlog", "interface"),
    "systemd": ("domain", "index", "name"),
}  # fmt: skip

_REQUIRED = {
    "tcp": ("port",),
    "tcp6": ("port",),
    "unix": ("address",),
    "ssl": ("port", "privateKey"),
    "tls": ("path",),
    "systemd": ("domain",),
}

_FILES = ("privateKey", "certKey", "extraCertChain", "dhParameters")
_EXAMPLE = "write one such as tcp:8080:interface=127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint string, taken apart."""

    kind: str
    arguments: dict[str, str]

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it.  False for a socket that systemd hands over:
        its address is not known here."""
        if self.kind == "unix":
            return True
        interface = self.arguments.get("interface", "")
        if interface == "localhost":
            return True
        return bool(interface) and ipaddress.ip_address(interface).is_loopback

    @property
    def loopback(self) -> str | None:
        """The loopback address that is listened on, ``localhost`` being one; else None."""
        return None if self.kind == "unix" or not self.local else self.arguments["interface"]

    @property
    def files(self) -> tuple[str, ...]:
        """The certificates and keys that listening will read, as they are written: `file_named`."""
        return tuple(self.arguments[name] for name in _FILES if name in self.arguments)


def file_named(value: str, environ: Mapping[str, str]) -> Path:
    """The file that a value names: a path, or ``credential:NAME``.

    Raises `BadValue` where systemd has handed over no credentials.
    """
    form, _, name = value.partition(":")
    return credential_file(name, environ) if form == "credential" else Path(value)


def parse_endpoint(text: str) -> Endpoint:
    """Take an endpoint string apart and check it; raises `BadValue`."""
    kind, *fields = _split(text, ":")
    names = _KINDS.get(kind)
    if names is None:
        raise BadValue(f"not a kind of endpoint ({listed(_KINDS)}), {_EXAMPLE}")
    arguments: dict[str, str] = {}
    positional = 0
    for field in fields:
        name, *value = _split(field, "=", 1)
        if not value:
            if positional >= len(names):
                raise BadValue(
                    f"too many arguments for {kind}, write a colon that is part of a value as \\:"
                )
            value, name = [name], names[positional]
            positional += 1
        if name not in names:
            meant = nearest(name, names) or listed(names)
            raise BadValue(f"an argument that {kind} does not have, write {meant}")
        if name in arguments:
            raise BadValue(f"{name} is given twice, write it once")
        arguments[name] = _unescape(value[0])
    for name in _REQUIRED[kind]:
        if name not in arguments:
            raise BadValue(f"{kind} lacks its {name}, add it as {name}=…")
    for name, argument in arguments.items():
        _check(kind, name, argument)
    if kind == "systemd" and ("index" in arguments) == ("name" in arguments):
        raise BadValue("systemd takes one of two, write index=0 or the socket's name=…")
    return Endpoint(kind, arguments)


def listener(text: str) -> str:
    """An endpoint string that is known to be good, as it was written."""
    parse_endpoint(text)
    return text


def listener_or_off(text: str) -> str | None:
    """The same, or None for ``off``."""
    return None if text == "off" else listener(text)


def _check(kind: str, name: str, value: str) -> None:
    """Refuse what Twisted, or the kernel, would refuse later and less clearly."""
    if name == "port" and not (re.fullmatch("[0-9]{1,5}", value) and int(value) <= 65535):
        raise BadValue("the port is not valid, write 0 (any free port) to 65535")
    if name == "interface" and value:
        _check_interface(kind, value)
    if name == "backlog" and not re.fullmatch("[1-9][0-9]{0,4}", value):
        raise BadValue("the backlog is not valid, write 1 to 99999")
    if name == "sslmethod":
        raise BadValue("sslmethod is obsolete, leave it out")
    if name == "mode" and not re.fullmatch("[0-7]{3,4}", value):
        raise BadValue("the mode is not valid, write octal digits such as 660")
    if name == "lockfile" and value not in ("0", "1"):
        raise BadValue("lockfile is not valid, write 0 or 1")
    if name in _FILES and value.startswith("credential:"):
        try:
            reference(value)
        except BadValue:
            right = r"write credential\:NAME"
            raise BadValue(f"{name} is not the name of a credential, {right}") from None
    elif name in ("address", "path", *_FILES) and not value.startswith("/"):
        raise BadValue(f"{name} is not an absolute path, write one that begins with /")
    if name == "domain" and value not in ("INET", "INET6", "UNIX"):
        raise BadValue("the domain is not valid, write INET, INET6 or UNIX")
    if name == "index" and not re.fullmatch("[0-9]{1,4}", value):
        raise BadValue("the index is not valid, write 0 or more")


def _check_interface(kind: str, value: str) -> None:
    six_only = kind in ("tcp6", "tls")
    if value == "localhost" and not six_only:
        return
    try:
        usable = ipaddress.ip_address(value).version == 6 or not six_only
    except ValueError:
        usable = False
    if not usable:
        example = r"\:\:1" if six_only else "127.0.0.1"
        raise BadValue(f"the interface is not an address for {kind}, write interface={example}")


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    r"""Split at separators that have no ``\`` before them; escapes stay as they are."""
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            following = next(characters, None)
            if following is None:
                raise BadValue(r"the endpoint ends in a \, write \\ for the character itself")
            parts[-1] += character + following
        elif character == separator and limit != 0:
            parts.append("")
            limit -= 1
        else:
            parts[-1] += character
    return parts


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
