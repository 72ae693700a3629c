"""Errors for the user: one line that says what to do, each class with its exit code."""

from __future__ import annotations


class UsageError(ValueError):
    """The call was wrong and nothing was done: exit code 2."""


class OutputHeldError(UsageError):
    """Another run works in the output folder: wait for it."""


class InputsFailedError(RuntimeError):
    """Some inputs failed, each named with its reason, and all others are done: exit code 1."""


class StoppedError(RuntimeError):
    """Work stopped on a full disk, a vanished mount or an interrupt; run again to finish: exit code 3."""


class TimeLimitError(StoppedError, TimeoutError):
    """A time limit has passed, and the work was stopped; run again to finish: exit code 3.

    A TimeoutError, so that Prefect shows the run and its task as TimedOut.
    """
