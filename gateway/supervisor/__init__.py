"""The supervisor: owns the listening sockets, keeps worker processes alive, carries no traffic.

The layers, from the pure ones upwards: `plan` (what it has to know of a configuration), `backoff`,
`watchdog` and `generations` (which workers there are and what becomes of them; clocks are passed
in), `assignment` and `commands` (what is said between supervisor and worker), `sockets`, `ledgers`
and `checking` (what a generation needs before it can start), `worker_process` (one process),
`fleet` (what the admin listener sees), `service` (signals, and the order of everything).

`gateway.worker` is the other end.
"""
