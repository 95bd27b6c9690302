"""What requests cost, in US dollars.

`Pricer.price` asks three sources in turn: what the provider itself reported in its usage
(`reported`), the operator's own ``[prices NAME]`` (`own`), and the list prices of the package
genai-prices, which comes with the extra ``prices`` and works offline (`offline`).  What none of
them knows has no price: it is unknown, never 0, and counted.

`charge` is what is to be paid for, made of a record or of a ledger's row; `usage_raw` reads the
provider's own usage object for what the columns have no room for.  `link` has records priced on
their way to the ledger: at once where `quick` knows a `linear` price, else in a thread.  `reprice`
does it again for rows that are there.
"""

from .charge import Charge
from .link import PriceLink
from .pricer import Price, Pricer, Rates

__all__ = ["Charge", "Price", "PriceLink", "Pricer", "Rates"]
