"""The life of one request: phases, relay, keepalive, deadlines, its one end, what follows it."""
