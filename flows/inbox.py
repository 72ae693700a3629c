"""Flow of a hot folder: opens an inbox whose shots are stylized by ``stylize_directory``, looks once, or watches it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from flows.progress import frames_bar
from stylegan_core.inference.job.report import Progress
from stylegan_core.threads import use_threads
from tasks.inbox.inbox import Inbox, InboxBusyError, Look
from tasks.scheduled.run_checkout import models_folder
from tasks.shared.errors import InputsFailedError
from tasks.shared.runner import Runner
from tasks.shared.versioning import project_root
from tasks.stylize.report import StylizeReport

log = logging.getLogger(__name__)

Run = Callable[[str, Callable[[Runner], StylizeReport]], StylizeReport]
"""Calls a body with the runner of its tasks, under a name; ``flows.runners.run_stage.run_stage`` is one."""


def open_inbox(folder: Path, output: Path | None, *, settle_s: float, run: Run) -> Inbox:
    """An inbox of the project that contains the working folder.

    torch is imported for the first shot only: most looks find none.

    Args:
        folder: see ``Inbox``.
        output: see ``Inbox``.
        settle_s: see ``Inbox``.
        run: runs the stylization of a shot.

    Raises:
        UsageError: there is no such folder, or one lies in the other.
    """
    root = project_root()

    def choose(name: str) -> Path:
        from tasks.inbox.choose_model import choose_model

        return choose_model(name, models_folder(root))

    def stylize(source: Path, output: Path, model: Path) -> StylizeReport:
        from stylegan_core.inference.conditioning.edit_vocabulary import OWN
        from stylegan_core.inference.planning.request import Request
        from tasks.stylize.stylize import stylize_directory

        use_threads()
        request = Request.of(source, output, model=model, models=models_folder(root), vocabulary=root / OWN)

        def body(runner: Runner) -> StylizeReport:
            with frames_bar() as watch, runner.progress(f"stylize {source.name}", "frames") as show:

                def progress(now: Progress) -> None:
                    watch(now)
                    show(now.done, now.total)

                return stylize_directory(request, runner, progress=progress)

        return run("stylize-inbox", body)

    return Inbox(folder, output, settle_s=settle_s, choose_model=choose, stylize=stylize)


def look_once(inbox: Inbox) -> Look:
    """One look; none if another process is looking, which then sees the same shots.

    Raises:
        InputsFailedError: shots failed in this look; all others are done.
    """
    try:
        look = inbox.look()
    except InboxBusyError as busy:
        log.info("%s: this look is skipped", busy)
        return Look()
    if look.failed:
        raise InputsFailedError(
            f"{len(look.failed)} of {len(look.failed) + len(look.finished)} shots failed, see their markers in "
            f"{inbox.output}: {', '.join(look.failed)}"
        )
    return look


def watch(inbox: Inbox, every_s: float) -> None:
    """Looks until it is interrupted.

    Args:
        inbox: while another process looks at it, this one waits.
        every_s: between two looks.
    """
    log.info("watching %s; results go to %s", inbox.folder, inbox.output)
    waited = False
    while True:
        try:
            inbox.look()
            waited = False
        except InboxBusyError as busy:
            if not waited:
                log.info("%s: waiting for its end", busy)
            waited = True
        time.sleep(every_s)
