"""The stage prepare, in order: list the sources, decode them, write the manifest and the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.runner import Runner
from stylegan_core.config import Params
from tasks.prepare import Progress, decoder, finish, list_sources


def prepare_flow(runner: Runner, params: Params, output: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Prepares the data of ``params`` in ``output``; returns the report."""
    listing = runner.run("list sources", list_sources, params, output)
    decoded = runner.map("decode", decoder(params, listing, progress), listing.chunks())
    return runner.run("write prepared data", finish, params, listing, decoded, output)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar of decoded pictures on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("decoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("decoding", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def main() -> None:
    """``python -m flows.prepare``, the command of DVC's stage."""
    from flows.stage import stage_main
    from stylegan_core.config import load_params

    with progress_bar() as progress:
        stage_main("prepare", lambda runner: prepare_flow(runner, load_params(), Path("data/prepared"), progress))


if __name__ == "__main__":
    main()
