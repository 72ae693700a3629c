"""Time limits of steps and runs: within the context of a limit, each wait and each child process ends with it.

A limit is ambient, as the cancel scopes of trio and anyio are: steps call git and dvc many times, some of them deep
inside, and one call without a limit would be enough to block a schedule.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tasks.shared.errors import TimeLimitError

HOUR_S = 3600.0


@dataclass(frozen=True)
class TimeLimit:
    """A limit that has begun.

    Attributes:
        what: is limited, such as the stage "train".
        setting: that sets it, such as "limits.train_hours".
        hours: the limit.
        end_s: when it ends, on the clock of ``time.monotonic``.
    """

    what: str
    setting: str
    hours: float
    end_s: float

    @classmethod
    def start(cls, what: str, setting: str, hours: float) -> TimeLimit:
        """A limit that begins now."""
        return cls(what, setting, hours, time.monotonic() + hours * HOUR_S)

    def remaining_s(self) -> float:
        """Seconds until its end, 0 afterwards."""
        return max(0.0, self.end_s - time.monotonic())

    def error(self) -> TimeLimitError:
        """Says what was stopped, and which setting allows it more time."""
        return TimeLimitError(
            f"{self.what}: stopped by its time limit of {self.hours:g} h. If it needs more time, raise {self.setting} "
            "in params.yaml (null: no limit); the next run continues from what is done"
        )


_LIMITS: ContextVar[tuple[TimeLimit, ...]] = ContextVar("time_limits", default=())


@contextmanager
def time_limit(limit: TimeLimit | None) -> Iterator[None]:
    """Within it, waits and child processes end with the limit; None adds no limit to the outer ones."""
    token = _LIMITS.set((*_LIMITS.get(), *([limit] if limit else [])))
    try:
        yield
    finally:
        _LIMITS.reset(token)


def nearest_limit() -> TimeLimit | None:
    """The limit that ends first; None without limits."""
    return min(_LIMITS.get(), key=lambda limit: limit.end_s, default=None)


def check_time() -> None:
    """Ends what has no more time.

    Raises:
        TimeLimitError: a limit has passed.
    """
    limit = nearest_limit()
    if limit is not None and limit.remaining_s() <= 0:
        raise limit.error()


def patience_s(wanted_s: float) -> float:
    """``wanted_s``, or the seconds until the nearest limit if these are fewer."""
    limit = nearest_limit()
    return wanted_s if limit is None else min(wanted_s, limit.remaining_s())
