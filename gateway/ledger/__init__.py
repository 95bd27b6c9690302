"""The ledger: every request that an upstream sees has one row, written before it is sent.

An exchange calls `Ledger.open` with its intent and asks the upstream only when the Deferred has
fired; when it is over, it calls `Ledger.settle` with the record.  Neither raises and neither waits:
rows are noted in a spool, the database is written by a thread of its own, and trouble with either
reaches an exchange only as `LedgerUnavailable` from `open`.  ``docs/ledger.rst`` tells how.

`interface` is what the rest of the gateway knows; `sqlite` is the half that lives in the reactor's
thread, `spool` the files that it writes, `writer` the thread and `chores` what that does besides;
`store`, `schema`, `migrations` and `once` are the database, `identity` and `damage` its safety;
`rows` is the way from records to columns, `queries` the reading side, which knows only the schema.
"""

from .interface import Ledger, LedgerError, LedgerReactor, LedgerUnavailable
from .sqlite import SqliteLedger

__all__ = ["Ledger", "LedgerError", "LedgerReactor", "LedgerUnavailable", "SqliteLedger"]
