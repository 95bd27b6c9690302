"""The listening side: a strict HTTP/1.1 channel under a ``twisted.web`` Site, and its Request."""
