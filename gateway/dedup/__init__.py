"""Dedup: an answer that is there already, or on its way, is given to whoever asks the same again.

`Dedup` decides for each request of a route with ``dedup``: the first of its kind *leads* (its
exchange answers an `audience.Audience` instead of the client alone), another one *joins* it while
it is under way or gets a *replay* of it afterwards.  What is given is a `recording.Recording`; each
client is a `listener.Listener` of one, at its own pace.

`key`, `eligible`, `tools`, `recording`, `store` and `rows` are values and bytes only.
"""

from .sharing import Dedup

__all__ = ["Dedup"]
