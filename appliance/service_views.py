"""Who looks after the schedules, as screens, commands and the self-check show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceView:
    """Whether runs that are due are started by themselves.

    Attributes:
        kind: who looked last: `daemon`, `timer` (any `gradaudit schedule run`), or empty for nobody ever.
        alive: whether a daemon runs at this moment.
        last_utc: when somebody looked last, ISO; empty for never.
        told: the same in words.
        silent: whether nobody has looked for a day: nothing is started by itself then.
    """

    kind: str
    alive: bool
    last_utc: str
    told: str
    silent: bool
