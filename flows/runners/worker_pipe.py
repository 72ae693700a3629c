"""The pipe through which a run's log reaches the log of its worker, which may be killed before the run ends."""

from __future__ import annotations

import functools
import logging

from rich.console import Console


def outlive_worker() -> None:
    """Drops what can no longer be written, instead of ending the run: its log is on the server, too.

    Without its worker, the pipe is broken, and rich, which writes Prefect's log, would end the process.
    """
    names = list(logging.root.manager.loggerDict)
    for logger in (logging.root, *map(logging.getLogger, names)):
        for handler in logger.handlers:
            console = getattr(handler, "console", None)
            if isinstance(console, Console):
                # On the instance: the console is made by Prefect, which has no setting for another class.
                vars(console)["on_broken_pipe"] = functools.partial(setattr, console, "quiet", True)
