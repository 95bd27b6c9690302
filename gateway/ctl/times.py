"""Moments and days as people write and read them: always in a zone that is named.

A time of day that comes twice when clocks are set back is the first of the two; one that is left
out when they are set forward is the moment at which they are (`datetime`'s ``fold=0``).
"""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from ..config import values
from ..config.problem import BadValue

#: Where the system keeps its own zone (localtime(5)).
_LOCALTIME = Path("/etc/localtime")


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone, and what it is called."""

    name: str
    tz: datetime.tzinfo

    def at(self, stamp: str) -> datetime.datetime:
        """A row's timestamp in this zone."""
        return datetime.datetime.fromisoformat(stamp).astimezone(self.tz)


UTC = Zone("UTC", datetime.UTC)


def zone(name: str) -> Zone:
    """A zone of the IANA database.  Raises `argparse.ArgumentTypeError`."""
    if name.upper() == "UTC":
        return UTC
    try:
        return Zone(name, ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"{name!r} is no time zone that this system knows, write one such as Europe/Berlin"
        ) from None


def local_zone() -> Zone:
    """The system's own: ``$TZ``, else ``/etc/localtime``, else UTC.

    Raises `argparse.ArgumentTypeError`.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    if name and not name.startswith("/"):
        return zone(name)
    file = Path(name) if name else _LOCALTIME
    if not name and not file.exists():
        return UTC
    try:
        with file.open("rb") as data:
            return Zone("local", ZoneInfo.from_file(data, key="local"))
    except (ValueError, OSError):
        raise argparse.ArgumentTypeError(
            f"{file} is no time zone, name one with --tz such as Europe/Berlin"
        ) from None


def moment(text: str, where: Zone, now: float) -> float:
    """A duration before `now`, or a date or time in a zone, in seconds since the epoch.

    Raises `argparse.ArgumentTypeError`.
    """
    try:
        return max(0.0, now - values.seconds(text))
    except BadValue:
        pass
    try:
        told = datetime.datetime.fromisoformat(text)
        return max(0.0, (told if told.tzinfo else told.replace(tzinfo=where.tz)).timestamp())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a duration such as 7d, 12h or 1h30m, nor a time such as "
            "2026-11-01 or 2026-11-01T12:30"
        ) from None


def days(first: float, last: float, where: Zone) -> Iterator[tuple[str, float, float]]:
    """The days of a zone from one moment to another: each one's date, begin and end.

    They are 23 or 25 hours long where clocks are set.
    """
    day = datetime.datetime.fromtimestamp(first, where.tz).date()
    begin = _midnight(day, where)
    while begin <= last:
        following = day + datetime.timedelta(days=1)
        end = _midnight(following, where)
        yield day.isoformat(), begin, end
        day, begin = following, end


def _midnight(day: datetime.date, where: Zone) -> float:
    return datetime.datetime.combine(day, datetime.time(), where.tz).timestamp()
