"""Inbox: looks at a hot folder and stylizes the shots in it that have stopped growing, each once.

What is known is in INBOX/.stylereel/, so looks may come from a watching process, from cron or from Prefect. A look
holds a lock to its end. A kill loses nothing: a shot without an outcome is due at the next look, and stylize skips the
frames that have a record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from stylegan_core.storage.state_folder import STATE_FOLDER
from stylegan_core.storage.stop_errors import stops
from tasks.inbox.fingerprint import Fingerprint, NotAShotError, fingerprint
from tasks.inbox.markers import failed_marker, mark_done, mark_failed, mark_problem, unmark
from tasks.inbox.output_folder import check_output
from tasks.inbox.problems import read_problems, update_problems, write_problems
from tasks.inbox.scan import Shot, scan
from tasks.inbox.shot_state import Outcome, ShotState, ShotStates, is_due, seen
from tasks.shared.errors import OutputHeldError, StoppedError, UsageError
from tasks.stylize.report import StylizeReport

log = logging.getLogger(__name__)

_OFTEN_BEGUN = 3
"""A shot that was begun so often without an end, perhaps because it ends its process, lets the others go first."""


class InboxBusyError(RuntimeError):
    """Another process is looking at the inbox."""


class _ModelGoneError(RuntimeError):
    """The model of a shot is not there any more."""


class Stylize(Protocol):
    """Stylizes a shot."""

    def __call__(self, source: Path, output: Path, model: Path) -> StylizeReport:
        """``source`` and ``output`` are both folders or both movies; ``model`` is a model's folder."""
        ...


@dataclass
class Look:
    """What a look did.

    Attributes:
        finished: names of the shots that it finished.
        failed: reasons by the names of the shots that failed.
        waiting: number of shots that are growing, or whose model is not there.
    """

    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    waiting: int = 0


class Inbox:
    """A hot folder; see ``scan.py`` for its layout."""

    def __init__(
        self,
        folder: Path,
        output: Path | None,
        *,
        settle_s: float,
        choose_model: Callable[[str], Path],
        stylize: Stylize,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Checks the folders and writes nothing yet.

        Args:
            folder: the inbox.
            output: of the results and markers; None: the folder "done" next to the inbox.
            settle_s: how long a shot must not have changed before it is processed.
            choose_model: finds the model that a folder's name means; raises UsageError.
            stylize: stylizes a shot.
            clock: gives the time in seconds since 1970; it must go on between processes.

        Raises:
            UsageError: there is no such inbox, or one folder lies in the other.
        """
        self.folder, self.output = _checked(folder, output)
        self._settle_s, self._clock = settle_s, clock
        self._choose_model, self._stylize = choose_model, stylize
        self._state_folder = self.folder / STATE_FOLDER
        self._states = ShotStates(self._state_folder / "shots")
        self._problems = self._state_folder / "problems.json"

    def look(self) -> Look:
        """Lists the inbox, processes the shots that are due, and marks what finished and what failed.

        Raises:
            InboxBusyError: another process is doing so.
            StoppedError: a full disk, a vanished mount or an interrupt; the next look continues.
            UsageError: the inbox or the output cannot be written.
        """
        try:
            self._state_folder.mkdir(exist_ok=True)
            with FileLock(self._state_folder / "lock").acquire(timeout=0):
                return self._look()
        except Timeout:
            raise InboxBusyError(f"another process is looking at {self.folder}") from None
        except PermissionError as error:
            raise UsageError(f"{error.filename or self.folder} cannot be read or written: {error.strerror}") from error
        except OSError as error:
            if self._state_folder.is_dir() and not stops(error):
                raise
            raise StoppedError(f"{self.folder} cannot be read or written: {error}") from error

    def _look(self) -> Look:
        found, look = scan(self.folder), Look()
        problems, due = dict(found.problems), list[tuple[Shot, ShotState]]()
        for shot in found.shots:
            if (examined := self._examine(shot, problems)) is None:
                continue
            state, now, is_due_now = examined
            if is_due_now:
                due.append((shot, state))
            elif state.outcome is None or state.outcome.files != now.files:
                look.waiting += 1
        if problems or due:
            check_output(self.output, self._state_folder / "output")
        models = self._choose_models(sorted({shot.model for shot, _ in due}), problems)
        self._report(problems)
        for shot, _ in sorted(due, key=_turn):
            if shot.model in models:
                self._process(shot, models[shot.model], look)
            else:
                look.waiting += 1
        return look

    def _examine(self, shot: Shot, problems: dict[str, str]) -> tuple[ShotState, Fingerprint, bool] | None:
        """The state and files of a shot, and whether it is due; None: it cannot be read, see ``problems``.

        The files have been there since the end of the listing that saw them first, until the start of this one: a
        slow listing is no second look.
        """
        began_s = self._clock()
        try:
            now = fingerprint(shot.path)
        except NotAShotError as error:
            problems[shot.name] = str(error)
            return None
        except OSError as error:
            problems[shot.name] = f"cannot be read: {error.strerror}"
            return None
        before = self._states.read(shot.name)
        state = seen(before, shot.name, now, self._clock())
        if state != before:
            self._states.write(state)
        retry = not failed_marker(self.output, shot.name).exists()
        return state, now, is_due(state, now, began_s, self._settle_s, retry=retry)

    def _choose_models(self, names: list[str], problems: dict[str, str]) -> dict[str, Path]:
        models = {}
        for name in names:
            try:
                models[name] = self._choose_model(name)
            except UsageError as error:
                problems[name] = str(error)
        return models

    def _report(self, reasons: Mapping[str, str]) -> None:
        """Logs and marks new problems, and removes the markers of those that are solved."""
        before = read_problems(self._problems)
        now = update_problems(before, reasons, self._clock(), self._settle_s)
        for name, problem in now.items():
            if problem.reported and problem != before.get(name):
                log.warning("%s %s", name, problem.reason)
                mark_problem(self.output, name, problem.reason)
        for name in before.keys() - now.keys():
            if before[name].reported:
                failed_marker(self.output, name).unlink(missing_ok=True)
        if now != before:
            write_problems(self._problems, now)

    def _process(self, shot: Shot, model: Path, look: Look) -> None:
        # Hours may have passed since the look began: shots before this one were stylized.
        examined = self._examine(shot, {})
        if examined is None or not examined[2]:
            look.waiting += 1
            return
        state, now, _ = examined
        state = state.model_copy(update={"begun": state.begun + 1})
        self._states.write(state)
        unmark(self.output, shot.name)
        log.info("%s: stylizing %d files with the model %s", shot.name, now.count, model.name)
        try:
            report, reason = self._stylized(shot, model)
        except (OutputHeldError, _ModelGoneError) as error:
            log.warning("%s waits: %s", shot.name, error)
            look.waiting += 1
            return
        if not shot.path.exists():
            log.warning("%s was removed while it was stylized", shot.name)
            return
        again = self._examine(shot, {})
        if again is None or again[1].files != now.files:
            log.info("%s changed while it was stylized: it waits until it stops growing", shot.name)
            look.waiting += 1
            return
        self._record(state, now, report, reason, look)

    def _stylized(self, shot: Shot, model: Path) -> tuple[StylizeReport | None, str]:
        """The report of a shot, and why it failed; the reason is empty if it did not.

        Raises:
            OutputHeldError: another run works in its output folder.
            _ModelGoneError: a training has removed the model, which it replaces at its end.
            StoppedError: see ``_raise_if_stopped``.
        """
        output = self.output / shot.output_name
        try:
            if shot.path.is_dir():
                output.mkdir(parents=True, exist_ok=True)  # else a name with a suffix would mean a movie or a picture
            report = self._stylize(shot.path, output, model)
        except OutputHeldError:
            raise
        except Exception as error:
            self._raise_if_stopped(shot, error)
            if self._model_is_gone(shot, model):
                raise _ModelGoneError(f"its model {model.name} was removed, perhaps by a training ({error})") from error
            log.debug("%s failed", shot.name, exc_info=error)
            return None, str(error) or type(error).__name__
        return report, _failures(report)

    def _model_is_gone(self, shot: Shot, model: Path) -> bool:
        """Whether the name of the shot's folder means another model than when the look began, or none."""
        try:
            return self._choose_model(shot.model) != model
        except UsageError:
            return True

    def _raise_if_stopped(self, shot: Shot, error: Exception) -> None:
        """Raises an error that concerns more than its shot.

        Raises:
            StoppedError: the machine or the user stopped the work, or the inbox is gone.
        """
        if not self._state_folder.is_dir():
            raise StoppedError(f"{self.folder} was unmounted or removed") from error
        if shot.path.exists() and (isinstance(error, StoppedError) or stops(error)):
            raise error

    def _record(
        self, state: ShotState, now: Fingerprint, report: StylizeReport | None, reason: str, look: Look
    ) -> None:
        """Marks the shot, then writes its state: a kill in between repeats both, and makes no frame again."""
        ended_s, name = self._clock(), state.shot
        if reason:
            log.error("%s failed: %s", name, reason)
            mark_failed(self.output, name, reason, ended_s)
            look.failed[name] = reason
        else:
            assert report is not None
            mark_done(self.output, name, _facts(report), ended_s)
            look.finished.append(name)
        outcome = Outcome(
            files=now.files,
            result="failed" if reason else "finished",
            reason=reason,
            model=report.job.model_digest if report else "",
            ended_s=ended_s,
        )
        self._states.write(state.model_copy(update={"begun": 0, "outcome": outcome}))


def _turn(due: tuple[Shot, ShotState]) -> tuple[int, float, str]:
    """Sort key: first come, first served."""
    shot, state = due
    return (state.begun if state.begun >= _OFTEN_BEGUN else 0, state.since_s, shot.name)


def _failures(report: StylizeReport) -> str:
    """Why a shot failed; empty if it did not."""
    if not report.failed:
        return ""
    return f"{len(report.failed)} of {len(report.job.frames)} inputs failed, all others are done:\n{report.failures()}"


def _facts(report: StylizeReport) -> dict[str, object]:
    return {
        "frames": len(report.job.frames),
        "made": report.made,
        "before": f"{report.skipped} (made earlier, unchanged)",
        "warnings": len(report.warnings),
        "model": f"{Path(report.job.model_folder).name} ({report.job.model_digest[:16]})",
        "output": report.job.movie.path if report.job.movie else report.job.output_folder,
    }


def _checked(folder: Path, output: Path | None) -> tuple[Path, Path]:
    """Both folders as absolute paths.

    Raises:
        UsageError: see ``Inbox``.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: create it, with a folder in it for each model, such as last")
    inbox = folder.resolve()
    target = (output or inbox.parent / "done").expanduser().resolve()
    if inbox == target or inbox in target.parents or target in inbox.parents:
        raise UsageError(
            f"the output {target} and the inbox {inbox} must not contain each other: choose another output"
        )
    return inbox, target
