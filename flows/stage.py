"""Entry point of the stages' processes: error messages, exit codes, and the traceback in a file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flows.output_pipe import EXIT_CODE as OUTPUT_CLOSED
from flows.output_pipe import output_is_closed
from flows.runners.run_stage import run_stage
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from stylegan_core.storage.stop_errors import stops
from stylegan_core.threads import use_threads
from tasks.shared.errors import InputsFailedError, StoppedError, UsageError
from tasks.shared.runner import Runner
from tasks.shared.versioning import VersioningError

if TYPE_CHECKING:
    from rich.console import Console

_TRACEBACK = Path(STATE_FOLDER) / "last-error.txt"
COMPUTING_STAGES = ("train", "evaluate", "stylize")
"""Stages that run networks: their number of threads is chosen at their start."""
LAST_EXIT = Path(STATE_FOLDER) / "last-exit.json"
"""In the project: error of the last stage, whose exit code dvc replaces by its own. Absent after a success."""


def stage_main(name: str, body: Callable[[Runner], object]) -> None:
    """Main function of ``python -m flows.<stage>``: runs ``body`` as the stage and exits with its code."""
    configure_logging()
    leader = int(os.environ.get("LOCAL_RANK", "0")) == 0  # the first process of a distributed training
    if leader:
        LAST_EXIT.unlink(missing_ok=True)

    def checked() -> object:
        try:
            _refuse_stale_code(name)
            if name in COMPUTING_STAGES:
                use_threads()
            return run_stage(name, body)
        except BaseException as error:
            if leader:
                _write_exit(name, error)
            raise

    exit_with_code(checked)


def stage_error(root: Path) -> Exception | None:
    """Error of the last stage's process, with its message and exit code; None if it succeeded."""
    try:
        written = json.loads((root / LAST_EXIT).read_text(encoding="utf-8"))
        code, message = written["code"], f"{written['stage']}: {written['message']}"
    except (OSError, ValueError, TypeError, KeyError):
        return None
    kinds: dict[int, type[Exception]] = {2: UsageError, 3: StoppedError}
    return kinds.get(code, InputsFailedError)(message)


@contextlib.contextmanager
def explained_by_stage(root: Path) -> Iterator[None]:
    """Replaces the error of a ``dvc repro`` whose stage failed by the stage's own error, which has its exit code."""
    (root / LAST_EXIT).unlink(missing_ok=True)
    try:
        yield
    except VersioningError as error:
        raise (stage_error(root) or error) from error


def _write_exit(stage: str, error: BaseException) -> None:
    code = exit_code(error)
    if code is None:
        return
    content = {"stage": stage, "code": code, "message": _one_line(error)}
    with contextlib.suppress(OSError):  # a full disk for example: dvc's own exit code remains
        write_bytes_atomically(LAST_EXIT, json.dumps(content).encode())


def _refuse_stale_code(name: str) -> None:
    """In an ``init`` project, DVC would otherwise record this run under the code digest of an earlier version."""
    from tasks.project.sync import stale_code

    if name in stale_code(Path.cwd()):
        raise UsageError(
            f"stylereel changed since this project last ran {name}: run `stylereel sync`, then `dvc repro` again "
            "(the commands of stylereel do this themselves)"
        )


def exit_with_code(body: Callable[[], object]) -> None:
    """Calls ``body``; an exception becomes one line on stderr and an exit code.

    0 is everything done; 1 some inputs failed, or a failure inside the program; 2 the call or a setting was wrong;
    3 stopped, run again to finish. If the reader of the output has gone, it ends without a message, with 141.
    """
    try:
        body()
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and output_is_closed():
            sys.exit(OUTPUT_CLOSED)
        code = exit_code(error)
        if code is None:
            raise
        _explain(error, code)
        sys.exit(code)


def exit_code(error: BaseException) -> int | None:
    """The exit code for an exception; None for those that must pass, such as SystemExit."""
    if isinstance(error, UsageError | FileNotFoundError | NotADirectoryError) or _is_settings_error(error):
        return 2
    if isinstance(error, StoppedError | KeyboardInterrupt) or stops(error):
        return 3
    if isinstance(error, Exception):
        return 1
    return None


def _is_settings_error(error: BaseException) -> bool:
    settings = sys.modules.get("stylegan_core.settings")  # not imported here: whoever raises the error has imported it
    return settings is not None and isinstance(error, settings.SettingsError)


def configure_logging() -> None:
    """Sends the log of flows, tasks and stylegan_core to stderr; ``STYLEREEL_LOG`` sets the level (INFO)."""
    level = os.environ.get("STYLEREEL_LOG", "INFO").upper()
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)-7s %(message)s"))
    if (console := _console()).is_terminal:
        from rich.logging import RichHandler

        # Only for terminals: in a log file, lines must not be wrapped.
        handler = RichHandler(console=console, show_path=False, show_time=False)
    for package in ("flows", "tasks", "stylegan_core"):
        logger = logging.getLogger(package)
        logger.setLevel(level)
        logger.handlers = [handler]
        logger.propagate = False


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)


def _explain(error: BaseException, code: int) -> None:
    console = _console()
    if isinstance(error, KeyboardInterrupt):
        console.print("stopped: run the same command again to finish", markup=False)
        return
    message = _one_line(error)
    console.print(f"error: {message}", markup=False, style="red")
    expected = code == 2 or isinstance(error, InputsFailedError | StoppedError) or _is_own_error(error)
    if code == 3:
        console.print("stopped: run the same command again to finish", markup=False)
    if os.environ.get("STYLEREEL_LOG", "").upper() == "DEBUG" or not expected:
        traceback.print_exception(error)
        return
    try:
        _TRACEBACK.parent.mkdir(exist_ok=True)
        _TRACEBACK.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        pass  # the message was printed


def _is_own_error(error: BaseException) -> bool:
    """Whether stylereel defines the exception: its message says what to do, unlike that of a built-in one."""
    return type(error).__module__.split(".")[0] in ("flows", "tasks", "stylegan_core")


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__
