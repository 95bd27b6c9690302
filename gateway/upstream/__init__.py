"""The calling side: strict HTTP/1.1 connections to upstreams, pooled one pool an upstream."""
