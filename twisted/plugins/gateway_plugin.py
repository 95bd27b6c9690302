"""Makes ``twistd gateway`` known to twistd.

Neither this folder nor the one above has an ``__init__.py``: both belong to Twisted, which looks
for plugins in every ``twisted/plugins`` folder on the path.  The service itself is imported only
when it is asked for.
"""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker
from twisted.python.usage import Options


class _Maker(ServiceMaker):
    """Has no SIGHUP end the process from the moment on that twistd knows which service it runs."""

    @property
    def options(self) -> type[Options]:
        from gateway.signals import hold_hangups

        hold_hangups()
        options: type[Options] = super().options
        return options


gateway = _Maker("txgateway", "gateway.tap", "a streaming gateway for LLM traffic", "gateway")
reactor = Reactor(
    "gateway", "gateway.net.reactor", "epoll with a short way for what can be read, as workers have"
)
