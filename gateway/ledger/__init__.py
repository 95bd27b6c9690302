"""The ledger: every request that an upstream sees has one row, written before it is sent.

An exchange calls `Ledger.open` with its intent and asks the upstream only when the Deferred has
fired; when it is over, it calls `Ledger.settle` with the record.  Neither raises and neither waits:
the store is written by a thread of its own, and trouble with it reaches an exchange only as
`LedgerUnavailable` from `open`.

`interface` is what the rest of the gateway knows; `sqlite` is the half that lives in the reactor's
thread, `writer` the thread, `store` and `schema` the database, `rows` the way from records to
columns, `queries` the reading side, which knows nothing of the others but the schema.
"""

from .interface import Ledger, LedgerError, LedgerReactor, LedgerUnavailable
from .sqlite import SqliteLedger

__all__ = ["Ledger", "LedgerError", "LedgerReactor", "LedgerUnavailable", "SqliteLedger"]
