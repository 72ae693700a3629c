"""The option ``--threads`` of every command."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from stylegan_core.threads import THREADS_VARIABLE, requested_threads, use_threads

Result = TypeVar("Result")

_COMPUTING = frozenset({"stylize", "plan", "work", "export", "distill", "style-bank", "features"})
"""Commands that run networks in this process; stages and other commands hand the setting on to their processes."""

Threads = Annotated[
    str,
    typer.Option(
        "--threads",
        envvar=THREADS_VARIABLE,
        metavar="NUMBER|auto",
        help="CPU threads of the networks; auto: one for each core that is free at the start.",
    ),
]


def add_threads_option(command: Callable[..., Any], signature: inspect.Signature) -> None:
    """Adds the option to the parameters of a Typer command.

    Args:
        command: takes ``threads`` by keyword.
        signature: its own parameters.
    """
    option = inspect.Parameter("threads", inspect.Parameter.KEYWORD_ONLY, default="auto", annotation=Threads)
    parameters = [*signature.parameters.values(), option]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]


def run_with_threads(name: str, threads: str, body: Callable[[], Result]) -> Result:
    """Calls ``body`` after the number of threads is set, for this process and for those that it starts.

    Args:
        name: of the command.
        threads: "auto" or a number, as given.
        body: of the command.

    Raises:
        SettingsError: ``threads`` is neither.
    """
    os.environ[THREADS_VARIABLE] = threads
    requested_threads()
    if name in _COMPUTING:
        use_threads()
    return body()
