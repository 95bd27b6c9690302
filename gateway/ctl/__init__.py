"""``gatewayctl``: check a configuration, look into the ledger, price its rows again.

Works on files alone, whether a gateway runs or not, and imports no reactor.  Results go to standard
output, everything else to standard error.  Exit status: 0, 1 if it could not be done or a
configuration is bad, 2 for wrong arguments, 130 after Ctrl-C.

`main` puts the command line together; each command is a module of its own (`check`, `requests` with
`follow`, `usage`, `reprice`, `reconcile`) that adds its arguments and runs; `times` reads moments
and zones, `output` prints.
"""

from .main import main

__all__ = ["main"]
