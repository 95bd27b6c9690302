"""Lets mitmproxy pass answers on as they come, instead of once they are whole."""

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    """Called by mitmproxy for each answer's head."""
    if flow.response is not None:
        flow.response.stream = True
