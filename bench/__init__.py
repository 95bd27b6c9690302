"""The benchmark: what events, requests and streams cost the gateway, beside other proxies.

``python -m bench.run --help`` says how to run it, ``docs/performance.rst`` how to read it.  To add
a work, add it to `works.WORKS`; to add a proxy to compare with, write a `proxy.Proxy` in ``peers``
and add it to `proxies.proxies`.  The load itself is the Go program in ``load``.

`run` is the command.  It gives works and proxies to `measure`, which starts the processes
(`processes`, `proxy`), runs the load (`client`) and asks the system what that took (`account`).
`report` works the samples out, `tables`, `files` and `plot` write them.

`profile` is another command: it tells where the gateway's time goes in these works.  `watching`
lets `measure` do them while py-spy (`sampling`) looks; `stacks` and `parts` divide what it saw,
`profiles` works it out, and `profile_page` writes it.  Both commands share `command`.
"""
