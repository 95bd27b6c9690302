"""The gateway's own transport, listener and connector."""
