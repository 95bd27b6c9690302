"""What single values cannot show: sections that contradict one another, files that are missing.

Works on tables, not on the built objects, because there the lines are known; and reports, so that
one wrong section does not hide the next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .certificate import identities
from .endpoint import file_named, parse_endpoint
from .model import Postgres
from .price import AUTO, OFF, provider_ids
from .problem import BadValue, Report, nearest
from .tables import Table


def check(
    tables: Sequence[Table],
    gateway: Table,
    ledger: Table,
    hooks: Table,
    environ: Mapping[str, str] | None,
    report: Report,
) -> None:
    """Report everything that is wrong between sections, or between the file and the disk.

    `environ` says where credentials are; without it the keys of listeners are not looked at.
    """
    upstreams = [table for table in tables if table.kind == "upstream"]
    routes = [table for table in tables if table.kind == "route"]
    _check_gateway(gateway, report)
    _check_admin(gateway, environ, report)
    if environ is not None:
        _check_certificates(gateway, environ, report)
    _check_ledger(ledger, report)
    if (module := hooks["module"]) is not None and (reason := _unreadable(module)):
        what = f"the file cannot be read ({reason}), make it readable or name another"
        hooks.report(report, "module", what)
    asked = "demo" in gateway.lines and "demo" not in gateway.explicit  # in words not understood
    if not upstreams and not gateway["demo"] and not asked:
        what = "there is nothing to serve, add an [upstream NAME] section or demo = on"
        gateway.report(report, "", what)
    for upstream in upstreams:
        _check_ca(upstream, report)
        _check_provider(upstream, report)
    clients = [table for table in tables if table.kind == "client"]
    for client in clients:
        _check_client(client, report)
    if not clients:
        _check_open_relay(gateway, upstreams, report)
    _check_prices([table for table in tables if table.kind == "prices"], report)
    _check_patterns(routes, report)
    for route in routes:
        _check_strip_prefix(route, report)


def _check_gateway(gateway: Table, report: Report) -> None:
    state_dir = gateway["state_dir"]
    # os.path, because a Path raises where a folder on the way may not be entered.
    if state_dir is not None and os.path.exists(state_dir) and not os.path.isdir(state_dir):
        gateway.report(report, "state_dir", "this is not a directory, name one")


def _check_admin(gateway: Table, environ: Mapping[str, str] | None, report: Report) -> None:
    """Whoever is let in there may read every row and stop the gateway."""
    text = gateway["admin"]
    if text is None:
        return
    if text in gateway["listen"] and "admin" in gateway.lines:
        what = "listen has this one already, name another one"
        gateway.report(report, "admin", what)
    if not parse_endpoint(text).local and gateway["admin_token"] is None:
        what = (
            "whoever reaches this may read all rows and stop the gateway: add admin_token, or "
            "listen on loopback only (interface=127.0.0.1)"
        )
        gateway.report(report, "admin", what)
    if environ is not None:
        _check_files(gateway, "admin", text, environ, report)


def _check_certificates(gateway: Table, environ: Mapping[str, str], report: Report) -> None:
    for text in gateway["listen"]:
        _check_files(gateway, "listen", text, environ, report)


def _check_files(
    gateway: Table, key: str, text: str, environ: Mapping[str, str], report: Report
) -> None:
    """Each file of a listener by itself, and then what they are together."""
    endpoint = parse_endpoint(text)
    unreadable = False
    for value in endpoint.files:
        try:
            path = file_named(value, environ)
            reason = _unreadable(path)
        except BadValue as error:
            gateway.report(report, key, str(error))
            unreadable = True
            continue
        if reason:
            what = f"{path} cannot be read ({reason}), make it readable or name another"
            gateway.report(report, key, what)
            unreadable = True
    if unreadable:
        return
    try:
        identities(endpoint, environ)
    except BadValue as error:
        gateway.report(report, key, str(error))


def _check_ledger(ledger: Table, report: Report) -> None:
    """What a PostgreSQL database needs of the disk, and what a file has no use for."""
    url = ledger["url"]
    if not isinstance(url, Postgres):
        if "password" in ledger.lines and ("url" not in ledger.lines or url is not None):
            what = "a SQLite file has no password, leave it out or write postgresql:// in url"
            ledger.report(report, "password", what)
        return
    for name in ("sslrootcert", "sslcert", "sslkey"):
        path = url.parameters.get(name, "")
        if path.startswith("/") and (reason := _unreadable(Path(path))):
            what = f"the file of {name} cannot be read ({reason}), make it readable or name another"
            ledger.report(report, "url", what)


def _check_ca(upstream: Table, report: Report) -> None:
    path = upstream["ca"]
    if path is None:
        return
    if reason := _unreadable(path):
        what = f"the file cannot be read ({reason}), make it readable or name another"
        upstream.report(report, "ca", what)
    elif b"-----BEGIN CERTIFICATE-----" not in path.read_bytes():
        what = "there is no certificate in the file, name one with certificates in PEM format"
        upstream.report(report, "ca", what)
    url = upstream["url"]
    if url is not None and not url.secure:
        what = "the upstream is asked without TLS, write https:// in url or leave ca out"
        upstream.report(report, "ca", what)


def _check_provider(upstream: Table, report: Report) -> None:
    """The provider whose list prices hold is one that is known, where that can be told."""
    provider = upstream["prices"]
    if provider in (AUTO, OFF):
        return
    known = provider_ids()
    if known is not None and provider not in known:
        meant = nearest(provider, known)
        right = f"did you mean {meant}?" if meant else "write one such as openai, or off"
        upstream.report(report, "prices", f"genai-prices knows no provider of this id, {right}")


def _check_client(client: Table, report: Report) -> None:
    """A client has one key: two would be one too many to revoke, none would be a guess."""
    given = [key for key in ("key", "key_sha256") if key in client.lines]
    if not given:
        what = "the client's key is missing, write key = env:NAME or key_sha256 = DIGEST"
        client.report(report, "", what)
    elif len(given) == 2:
        client.report(report, "key_sha256", "key is given as well, keep one of the two")


def _check_open_relay(gateway: Table, upstreams: Sequence[Table], report: Report) -> None:
    """A key of the gateway's own must not be anybody's to spend."""
    if all(parse_endpoint(text).local for text in gateway["listen"]):
        return
    for upstream in upstreams:
        if "api_key" in upstream.lines:
            what = (
                "whoever reaches the gateway could spend this key (see listen), add a "
                "[client NAME] section for each client or listen on loopback only "
                "(interface=127.0.0.1)"
            )
            upstream.report(report, "api_key", what)


def _check_prices(tables: Sequence[Table], report: Report) -> None:
    """Of two prices for the same models, upstreams and day, one could never hold."""
    seen: dict[tuple[str, str, object], Table] = {}
    for table in tables:
        for upstream in table["upstream"] or ("",):
            for model in table["model"] or ():
                first = seen.setdefault((model.lower(), upstream, table["valid_from"]), table)
                if first is not table:
                    what = (
                        f"[{first.title}] on line {first.line} has prices for {model} from the "
                        "same day on, keep one of the two or give one another valid_from"
                    )
                    table.report(report, "model", what)


def _check_patterns(routes: Sequence[Table], report: Report) -> None:
    """Of two routes with the same pattern and condition, one could never be taken."""
    seen: dict[tuple[str, str], Table] = {}
    for route in routes:
        header = route["header"]
        for pattern in route["path"] or ():
            condition = (pattern.text, header.lower() if header else "")
            first = seen.setdefault(condition, route)
            if first is not route:
                what = (
                    f"[{first.title}] on line {first.line} has {pattern.text} already, "
                    "keep one of the two or tell them apart by a header"
                )
                route.report(report, "path", what)


def _check_strip_prefix(route: Table, report: Report) -> None:
    prefix = route["strip_prefix"]
    if prefix is None:
        return
    for pattern in route["path"] or ():
        if pattern.text != prefix and not pattern.text.startswith(f"{prefix}/"):
            what = f"{pattern.text} does not begin with it, write a prefix that every pattern has"
            route.report(report, "strip_prefix", what)


def _unreadable(path: Path) -> str | None:
    """Why a file cannot be read, or None."""
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__
