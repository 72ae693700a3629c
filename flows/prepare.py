"""Flow of the stage prepare: list the sources, decode them, write the manifest and the store."""

from __future__ import annotations

from pathlib import Path

from flows.progress import progress_bar
from stylegan_core.config import Params
from stylegan_core.data.report import PrepareReport
from tasks.shared.runner import Runner
from tasks.stages.prepare import Progress, decoder, finish, list_sources


def prepare_flow(runner: Runner, params: Params, output: Path, progress: Progress | None = None) -> PrepareReport:
    """Prepares the data of ``params`` in ``output``; returns the report."""
    listing = runner.run("list sources", list_sources, params, output)
    decoded = runner.map("decode", decoder(params, listing, progress), listing.chunks())
    return runner.run("write prepared data", finish, params, listing, decoded, output)


def main() -> None:
    """``python -m flows.prepare``, the command of DVC's stage."""
    from flows.stage import stage_main
    from stylegan_core.config import load_params

    with progress_bar("decoding") as progress:
        stage_main("prepare", lambda runner: prepare_flow(runner, load_params(), Path("data/prepared"), progress))


if __name__ == "__main__":
    main()
