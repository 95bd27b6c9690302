"""The kinds of log records, each with an id that stays the same for ever.

The id is what the journal keeps as ``MESSAGE_ID`` (systemd.journal-fields(7)), so that records of
a kind are found whatever their texts come to say; ``log = json`` tells the kind's name.  A call of
a logger names the kind by the field ``kind``; a record without one has no id.  The operators' table
of them is in ``docs/operations.rst``.

A new kind gets a fresh id (``python -c 'import uuid; print(uuid.uuid4().hex)'``); no id is ever
changed, nor used again.
"""

from __future__ import annotations

from enum import Enum, unique


@unique
class Kind(Enum):
    """What a log record tells of; the value is its ``MESSAGE_ID``."""

    REQUEST = "494238dfb54b434c87926d61829998d4"
    REQUEST_FAILED = "3ea44f8c959542c1b68b403714aee42f"
    REFUSED = "d4182180eac14355aa2cd376f571d0fa"
    SLOW = "33429a7ac7ae44a7a454b0f693b95564"
    START = "f29298b31ee4424faa222365e5fbc172"
    READY = "ecfb387f9a324746ba03c75f5d24eecf"
    START_FAILED = "5b08383a208f4cc68054dbe0292c81c2"
    DRAIN = "53455d3cdeac44bf818bbdc00fb2a39e"
    STOP = "52a9bd8398544c4ea9d7429b97917659"
    RELOAD = "990be59fd7e942cfa6dc88638af107c3"
    BAD_CONFIGURATION = "abc39857972a4a0eb1685c6078fb71de"
    ADVICE = "78cab4df4fe04bcea3d9df34d14d689e"
    WORKER_STARTED = "47499955d50c4b619fb1be9333f78fe7"
    WORKER_DIED = "66b4bc7a9b344a319e6361f3548e6194"
    WORKER_STUCK = "85ce2b95146b40ed899ae4f16425230e"
    ROWS_KILLED = "12e9181fb8224f8ea45bedf421de238e"
    LEDGER_TROUBLE = "3dc6b8c416ca4a4ebff2c3699d9ecda8"
    LEDGER_RECOVERED = "60820998d3474339bcf6f99e47fd7a05"
    DATABASE = "37c0157a145448ef8da7537e743f8e9b"
    NO_PRICE = "de34947e06cc4d4ea5af967ca2db7e74"
    HOOK_FAILED = "5e841349bb5b49059ebd076985d5f466"
    INTERNAL_ERROR = "54b3ca91f85644f49cd8299da4eeeb44"
    LOG_LOST = "259c5506dcc047cf9cd78f2195dfaddb"

    @property
    def label(self) -> str:
        """The kind's name as ``log = json`` and the documents write it."""
        return self.name.lower()
