"""An operator's own Python, run after the gateway's own work: what a hook module imports.

`IGatewayHooks` tells which functions such a module may have; docs/hooks.rst what they may do.
"""

from .heads import Headers, NotAllowed, RequestHead, ResponseHead
from .interface import IGatewayHooks, Row

__all__ = ["Headers", "IGatewayHooks", "NotAllowed", "RequestHead", "ResponseHead", "Row"]
