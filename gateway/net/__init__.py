"""Connections as the reactor sees them: a transport that sends at once what the socket takes.

Twisted's own transport keeps what is written until the next turn of the reactor, and asks epoll
twice for it: once to hear that the socket can be written to, once to hear no more of it.  For a
relay, which writes a little at a time to sockets that nearly always take it, that is the greater
part of the work.  What is here uses nothing of a reactor but its public interfaces
(``IReactorFDSet``, ``IReactorTime``), so it works with every one that watches descriptors.
"""
