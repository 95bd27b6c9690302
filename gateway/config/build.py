"""Tables to the frozen objects of `model`: defaults resolved, secrets fetched, names joined.

A route's policy comes from its own section, else from ``[defaults]``, else from the schema.  Every
upstream has a prefix route besides; it comes after the routes of the file, so that one of these
with the same pattern takes its place (see `gateway.routing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .checks import check
from .model import (
    Client,
    Config,
    Gateway,
    Ledger,
    Pattern,
    Postgres,
    Prices,
    Route,
    Secret,
    Upstream,
)
from .problem import BadValue, Report, listed, nearest
from .route_keys import MATCHING, POLICY
from .schema import SECTIONS
from .secret import default_key_header, digest_of, resolve
from .tables import DEMO, OF_DEMO, Table


def build(
    source: str,
    tables: Sequence[Table],
    environ: Mapping[str, str],
    report: Report,
    *,
    secrets: bool = True,
    admin: bool = True,
) -> Config:
    """The configuration that the tables describe.

    Without `secrets` the keys of upstreams and clients are left where they are: whoever only reads
    the ledger need not be able to read them.  Without `admin` so is the admin listener's token.

    Raises `ConfigError` with all problems in `report`, those of the layers below included.
    """
    single = {table.kind: table for table in tables}
    gateway_table = single.get("gateway", Table("gateway", "", 1))
    ledger_table = single.get("ledger", Table("ledger", "", 1))
    defaults = single.get("defaults", Table("defaults", "", 1))
    hooks = single.get("hooks", Table("hooks", "", 1))
    named = {table.name: table for table in tables if table.kind == "upstream"}

    keys = environ if secrets else None
    check(tables, gateway_table, ledger_table, hooks, keys, report)
    gateway = _gateway(gateway_table, environ, report, admin=admin)
    upstreams = {
        name: upstream
        for name, table in named.items()
        if (upstream := _upstream(table, keys, report))
    }
    clients = _clients([table for table in tables if table.kind == "client"], keys, report)
    prices = [table for table in tables if table.kind == "prices"]
    for table in prices:
        for name in table["upstream"] or ():
            _knows_upstream(table, name, named, report)
    routes = [
        route
        for table in tables
        if table.kind == "route"
        and _knows_upstream(table, table["upstream"], named, report)
        and (route := _route(table, upstreams, defaults))
    ]
    ledger = _ledger(ledger_table, gateway.state_dir, environ, report)
    report.raise_problems()

    policy = {key: defaults[key] for key in POLICY}
    routes += [prefix_route(upstream, policy) for upstream in upstreams.values()]
    return Config(
        source=source,
        gateway=gateway,
        ledger=ledger,
        upstreams=MappingProxyType(upstreams),
        clients=clients,
        prices=tuple(Prices(name=table.name, **_price_fields(table)) for table in prices),
        routes=tuple(routes),
        defaults=MappingProxyType(dict(defaults.explicit)),
        hooks=hooks["module"],
        hooks_line=hooks.lines.get("module", 1),
    )


def prefix_route(upstream: Upstream, policy: Mapping[str, Any]) -> Route:
    """The route ``/NAME/*`` that every upstream has, NAME removed on the way."""
    prefix = f"/{upstream.name}"
    return Route(
        name=upstream.name,
        patterns=(Pattern(f"{prefix}/*"),),
        upstream=upstream,
        strip_prefix=prefix,
        **policy,
    )


def _fields(table: Table) -> dict[str, Any]:
    """A table's values by the names that the model has for them."""
    return {key.field or name: table[name] for name, key in SECTIONS[table.kind].items()}


def _gateway(table: Table, environ: Mapping[str, str], report: Report, *, admin: bool) -> Gateway:
    fields = _fields(table)
    fields["admin_asked"] = "admin" in table.explicit
    fields["admin_token"] = _secret(table, "admin_token", environ if admin else None, report)
    if fields["state_dir"] is None:
        try:
            fields["state_dir"] = default_state_dir(environ)
        except BadValue as error:
            table.report(report, "state_dir", str(error))
            fields["state_dir"] = Path("/")
    return Gateway(**fields)


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """Where state is kept if the file does not say (systemd.exec(5); XDG base directories).

    Raises `BadValue` if the environment does not say either.
    """
    # systemd joins several with colons; a relative $XDG_STATE_HOME is to be ignored.
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environ.get("HOME", "")
    for folder in (environ.get("XDG_STATE_HOME", ""), home and f"{home}/.local/state"):
        if folder.startswith("/"):
            return Path(folder) / "gateway"
    raise BadValue(
        "none of $STATE_DIRECTORY, $XDG_STATE_HOME and $HOME is set, "
        "write one such as state_dir = /var/lib/gateway"
    )


def _ledger(table: Table, state_dir: Path, environ: Mapping[str, str], report: Report) -> Ledger:
    fields = _fields(table)
    url, password = fields.pop("url"), _secret(table, "password", environ, report)
    del fields["password"]
    if isinstance(url, Postgres):
        fields["postgres"] = replace(url, password=password)
        url = None
    return Ledger(path=url or state_dir / "ledger.sqlite", **fields)


def _upstream(table: Table, environ: Mapping[str, str] | None, report: Report) -> Upstream | None:
    """An upstream, or None if what it cannot be without was reported."""
    fields = _fields(table)
    fields["api_key"] = _secret(table, "api_key", environ, report)
    if fields["url"] is None or fields["family"] is None:
        return None
    fields["api_key_header"] = fields["api_key_header"] or default_key_header(fields["family"])
    return Upstream(name=table.name, **fields)


def _clients(
    tables: Sequence[Table], environ: Mapping[str, str] | None, report: Report
) -> tuple[Client, ...]:
    """The clients that have a sound key, no two of them the same one."""
    first: dict[bytes, Table] = {}
    for table in tables:
        digest = table["key_sha256"]
        if key := _secret(table, "key", environ, report):
            digest = digest_of(key)
        if digest is None:
            continue
        other = first.setdefault(digest, table)
        if other is not table:
            what = (
                f"[{other.title}] on line {other.line} has the same key, "
                "give each client a key of its own"
            )
            table.report(report, "key" if key else "key_sha256", what)
    return tuple(Client(table.name, digest) for digest, table in first.items())


def _secret(
    table: Table, key: str, environ: Mapping[str, str] | None, report: Report
) -> Secret | None:
    reference = table[key]
    if reference is None or environ is None:
        return None
    try:
        return resolve(reference, environ)
    except BadValue as error:
        table.report(report, key, str(error))
        return None


def _price_fields(table: Table) -> dict[str, Any]:
    fields = _fields(table)
    fields["upstreams"] = fields["upstreams"] or ()
    return fields


def _knows_upstream(
    table: Table, name: str | None, named: Mapping[str, Table], report: Report
) -> bool:
    """Whether an upstream that a section names has a section, sound or not."""
    if name is None or name in named:
        return True
    if name == DEMO:
        table.report(report, "upstream", f"no section can name {OF_DEMO}, leave it out")
        return False
    meant = nearest(name, named)
    if meant:
        right = f"did you mean {meant}?"
    elif named:
        right = f"write {listed(named)}"
    else:
        right = "add one"
    table.report(report, "upstream", f"there is no upstream section of this name, {right}")
    return False


def _route(table: Table, upstreams: Mapping[str, Upstream], defaults: Table) -> Route | None:
    """A route, or None if something that it cannot be without was reported."""
    own = {key.field or name: table[name] for name, key in MATCHING.items()}
    if own["patterns"] is None or own["upstream"] not in upstreams:
        return None
    own["upstream"] = upstreams[own["upstream"]]
    source = {key: table if key in table.explicit else defaults for key in POLICY}
    return Route(name=table.name, **own, **{key: source[key][key] for key in POLICY})
