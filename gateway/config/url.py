"""URLs: an upstream's, and the ledger's.

Upstream URLs are taken apart once, here, and strictly, so that nothing that asks an upstream ever
parses or joins text (RFC 3986 for the parts; what a proxy cannot honour is refused, not ignored).
No problem repeats a URL, because passwords and keys are found in them.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote

from .model import Postgres, Url
from .problem import BadValue, listed

_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)",
    re.DOTALL,
)
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?")
# Underscores are no part of a host name in RFC 952, but container networks use them.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_DATABASE = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^@:/?#]*)(?P<password>:[^@]*)?@)?"
    r"(?P<host>[^@/?#]*)(?:/(?P<name>[^@/?#]*))?(?:\?(?P<query>[^#]*))?"
)
_DATABASE_EXAMPLE = "write one such as postgresql://gateway@db.example.org/gateway"
_EXAMPLE = "write one such as https://api.openai.com or http://127.0.0.1:8000"


def upstream_url(text: str) -> Url:
    """An upstream's URL in its parts; trailing slashes of its path are dropped."""
    found = _URL.fullmatch(text)
    if not found:
        raise BadValue(f"not a URL, {_EXAMPLE}")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise BadValue(f"the scheme is neither http nor https, {_EXAMPLE}")
    if "@" in found["authority"]:
        raise BadValue(
            "a user or password stands in the URL, leave it out and name a credential in api_key"
        )
    if found["rest"]:
        raise BadValue(f"the URL has a query or fragment, end it before the {found['rest'][0]}")
    host, port = _host_and_port(found["authority"])
    path = found["path"].rstrip("/")
    if not _PATH.fullmatch(path) or _DOTS.search(path):
        raise BadValue(
            "the URL's path has an empty or a dot segment, or a character that does not belong "
            "there, write a plain path such as /api"
        )
    return Url(scheme, host, port or _PORTS[scheme], path)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    found = _AUTHORITY.fullmatch(authority)
    if not found:
        raise BadValue(f"the URL's host is not valid, {_EXAMPLE}")
    if found["ipv6"] is not None:
        host = _address(found["ipv6"], ipaddress.IPv6Address)
    else:
        host = _name(found["name"].lower())
    digits = found["port"]
    if digits is None:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise BadValue("the URL's port is not valid, write 1 to 65535")
    return host, int(digits)


def _name(host: str) -> str:
    labels = host.split(".")
    if labels[-1].isdigit():  # then it is an address, and only in its usual form (WHATWG URL, 3.5)
        return _address(host, ipaddress.IPv4Address)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadValue("the URL's host is not valid, write a DNS name (in ASCII) or an IP address")
    return host


def _address(host: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> str:
    try:
        if "%" in host:  # a zone is a matter of this machine and has no place in a Host header
            raise ValueError
        return str(kind(host))
    except ValueError:
        raise BadValue(
            "the URL's host is not valid, write an address such as 127.0.0.1 or [::1]"
        ) from None


def ledger_url(text: str) -> Path | Postgres:
    """The file that a ``sqlite:///…`` URL names, or the database of a ``postgresql://…`` URL."""
    scheme, separator, path = text.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return _postgres(text)
    example = "write sqlite:///var/lib/gateway/ledger.sqlite"
    if scheme != "sqlite" or not separator:
        raise BadValue(f"not a URL of a ledger, {example} or postgresql://user@host/database")
    if not path.startswith("/") or path.endswith("/") or re.search("[?#]", path):
        raise BadValue(f"the URL does not name a file by its absolute path, {example}")
    # Four slashes are the way in which other software writes an absolute path.
    return Path("/" + path.lstrip("/"))


def _postgres(text: str) -> Postgres:
    """A connection URI (PostgreSQL's documentation, 34.1.1.2), the parts of it that are safe."""
    found = _DATABASE.fullmatch(text)
    if not found:
        raise BadValue(f"not a URL of a PostgreSQL database, {_DATABASE_EXAMPLE}")
    if found["password"]:
        raise BadValue(
            "a password stands in the URL, leave it out and say where it is with password"
        )
    if not found["name"]:
        raise BadValue(f"the URL names no database, {_DATABASE_EXAMPLE}")
    parameters = _parameters(found["query"] or "")
    folder = parameters.pop("host", None)
    if folder is None and not found["host"]:
        raise BadValue(
            "the URL names no server, write its host, or /database?host=/run/postgresql for a "
            "Unix socket"
        )
    if folder is not None and found["host"]:
        raise BadValue("the URL names a host and the folder of a Unix socket, keep one of the two")
    host, port = (folder, None) if folder else _host_and_port(found["host"])
    user = _decoded(found["user"]) if found["user"] else None
    return Postgres(host, port or 5432, _decoded(found["name"]), user, parameters)


def _parameters(query: str) -> dict[str, str]:
    """What stands behind the question mark; nothing that could undo what the gateway relies on."""
    parameters: dict[str, str] = {}
    for item in query.split("&") if query else ():
        name, _, value = item.partition("=")
        check = _PARAMETERS.get(name)
        if check is None:
            raise BadValue(
                f"the URL has a parameter that is not possible here, write {listed(_PARAMETERS)}"
            )
        if name in parameters:
            raise BadValue(f"the URL has {name} twice, keep one of the two")
        parameters[name] = check(name, _decoded(value))
    return parameters


def _decoded(text: str) -> str:
    decoded = unquote(text)
    if not decoded.isprintable():
        raise BadValue("the URL has a character that cannot be printed, leave it out")
    return decoded


def _file(name: str, value: str) -> str:
    if not value.startswith("/") or (name == "host" and "," in value):
        raise BadValue(f"the URL's {name} is not an absolute path, write one that begins with /")
    return value


def _authorities(name: str, value: str) -> str:
    return value if value == "system" else _file(name, value)


def _tls(name: str, value: str) -> str:
    if value not in _TLS:
        raise BadValue(f"the URL's {name} is unknown, write {listed(_TLS)}")
    return value


#: What libpq understands (PostgreSQL's documentation, 34.1.2).
_TLS = ("verify-full", "verify-ca", "require", "prefer", "allow", "disable")
_PARAMETERS = {
    "sslmode": _tls,
    "sslrootcert": _authorities,
    "sslcert": _file,
    "sslkey": _file,
    "host": _file,
}
