"""The benchmark: what an event and a request cost the gateway, beside nginx and Go's ReverseProxy.

``python -m bench.run --help`` says how to run it.  To add a work, add it to `works.WORKS`; to add a
proxy to compare with, add it to `proxies.PROXIES`.  The load itself is the Go program in ``load``.
"""
