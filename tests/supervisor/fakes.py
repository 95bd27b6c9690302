"""What stands in for processes, and for who is told of generations."""

from __future__ import annotations

from gateway.supervisor.generation import Generation, Member
from gateway.supervisor.plan import Plan


def plan(workers: int = 2, drain_timeout: float = 600.0, max_draining: int = 4) -> Plan:
    """A plan, of which only this matters here."""
    return Plan(
        source="gateway.ini",
        text="",
        listen=("tcp:8080",),
        workers=workers,
        drain_timeout=drain_timeout,
        max_draining=max_draining,
        state_dir="/",
        ledger="/ledger.sqlite",
        durability="process",
        ship=False,
        rows_go_to="/ledger.sqlite",
    )


class Recorder:
    """A `Launcher` and `Events` that note what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.spawned: list[Member] = []
        self.lost: list[str] = []  #: why the first start failed
        self.over = 0

    def _note(self, what: str, member: Member) -> None:
        self.told.append(f"{what} {member.name}")

    def take(self) -> list[str]:
        """What was told since the last time."""
        told, self.told = self.told, []
        return told

    def spawn(self, member: Member) -> None:
        self.spawned.append(member)
        self._note("spawn", member)

    def serve(self, member: Member) -> None:
        self._note("serve", member)

    def drain(self, member: Member) -> None:
        self._note("drain", member)

    def stop(self, member: Member) -> None:
        self._note("stop", member)

    def hurry(self, member: Member) -> None:
        self._note("hurry", member)

    def kill(self, member: Member, why: str, *, stacks: bool) -> None:
        self._note("kill", member)

    def check(self) -> None:
        self.told.append("check")

    def waits(self, why: str) -> None:
        self.told.append("wait")

    def replaces(self, member: Member, delay: float) -> None:
        self.told.append(f"replace {member.name} in {delay:g}")

    def swapped(self, new: Generation, old: Generation | None) -> None:
        self.told.append(f"swap to {new.number}")

    def given_up(self, generation: Generation, why: str) -> None:
        self.told.append(f"give up {generation.number}: {why}")

    def gone(self, generation: Generation) -> None:
        self.told.append(f"gone {generation.number}")

    def failed(self, why: str) -> None:
        self.lost.append(why)

    def ended(self) -> None:
        self.over += 1
