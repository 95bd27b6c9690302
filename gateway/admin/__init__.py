"""What an operator asks of a running gateway, and tells it: the admin listener.

`fleet` is whom the listener asks: one process, or a supervisor and its workers.  A process that
serves fills `meter` and answers `report` (counters and gauges by `snapshot`, exchanges by
`streams`); `sums` adds up what several processes say, and `exposition` writes it as Prometheus
reads it.  `listener` is the HTTP side: `door` decides who may ask, `site` answers, `history` asks
the ledger.
"""
