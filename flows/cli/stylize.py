"""``stylereel stylize``, its halves ``plan`` and ``work``, and ``verify``: frames in, frames out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.cli import dry_run as cli_dry_run
from flows.cli import stylize_folder
from flows.cli.stylize_options import takes_request

if TYPE_CHECKING:
    from flows.runners.dask_runner import DaskSettings
    from stylegan_core.inference.planning.request import Request

Checksum = Annotated[
    bool, typer.Option("--checksum", help="Hash finished frames again instead of trusting their sizes and times.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
RunnerName = Annotated[
    Literal["threads", "dask"],
    typer.Option("--runner", help="What runs the chunks: threads of this process, or the workers of a Dask cluster."),
]
Address = Annotated[
    str | None, typer.Option(help="A Dask scheduler, such as tcp://10.0.0.5:8786. Default: a cluster for this call.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes of a Dask cluster for this call, such as 4. Default: one per GPU, or one per core."
    ),
]

_EXAMPLES = """
stylereel stylize                                  (the project's shots, by dvc)
stylereel stylize ~/plates ~/painted-plates
stylereel stylize plates/sh010.####.exr out/sh010 --frames 1001-1100x2
stylereel stylize sh010.mov sh010_styl.mov
stylereel stylize photos out --model models:/stylereel.harbour.all@promoted --strength 0.7
stylereel stylize photos out --model swap --style-image dusk.jpg --style-image sea.jpg:0.3
stylereel stylize faces out --model attributes --edit "smiling, no glasses"
stylereel stylize plates out --regions regions.yaml --outside-regions style
stylereel stylize plates/sh010.####.exr out/sh010_styl.%05d.png --missing hold --dry-run
stylereel stylize plates out --key-frames painted
stylereel stylize plates out --look-dev 5
stylereel stylize plates out --blend-frames 2 --cuts reel.edl@25
stylereel stylize plates out --source-space "ARRI LogC4"
stylereel stylize plates out --runner dask --address tcp://10.0.0.5:8786
"""

_PLAN_EXAMPLES = """
stylereel work $(stylereel plan plates out)
stylereel plan plates/sh010.####.exr out --frames 1001-1100 --chunk-frames 16
"""

_WORK_EXAMPLES = """
stylereel work out/.stylereel/job-0123456789abcdef.json
stylereel work --job out/.stylereel/job-0123456789abcdef.json --chunk 3
stylereel work --job out/.stylereel/job-0123456789abcdef.json --chunk 0-9 --wait 600
"""


def register(
    command: Callable[..., Callable[[Callable[..., object]], object]], stylize_project: Callable[[], None]
) -> None:
    """Registers the commands with the decorator of the command line.

    Args:
        command: takes a name and examples.
        stylize_project: called by ``stylereel stylize`` without INPUT.
    """

    def stylize(  # noqa: PLR0917  # Typer's options
        request: Request | None,
        context: typer.Context,
        checksum: Checksum = False,
        preview: Annotated[
            bool, typer.Option(help="Write a preview movie of a numbered sequence to OUTPUT/.stylereel.")
        ] = True,
        as_json: AsJson = False,
        runner: RunnerName = "threads",
        address: Address = None,
        workers: Workers = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Report what would be done, and write nothing.")
        ] = False,
        look_dev: Annotated[
            int | None,
            typer.Option(
                "--look-dev", min=1, help="Only write a sheet of this many frames, before and after, next to OUTPUT."
            ),
        ] = None,
    ) -> None:
        """Stylize a folder, a sequence or a movie; without INPUT, bring the project's shots up to date.

        Finished frames are skipped; run the same command again to finish an interrupted one.
        """
        if request is None:
            _refuse_options_without_input(context)
            stylize_project()
            return
        if dry_run:
            cli_dry_run.dry_run(request, as_json=as_json)
            return
        if look_dev is not None:
            cli_dry_run.look_dev(request, frames=look_dev, as_json=as_json)
            return
        dask = dask_settings(runner, address, workers)
        stylize_folder.stylize_folder(request, checksum=checksum, preview=preview, as_json=as_json, dask=dask)

    command("stylize", _EXAMPLES)(takes_request(stylize, needs_input=False))
    command("plan", _PLAN_EXAMPLES)(takes_request(stylize_folder.plan))
    command("work", _WORK_EXAMPLES)(work)
    command("verify", "stylereel verify out\nstylereel verify out --json")(verify)


def work(  # noqa: PLR0917  # Typer's options
    file: Annotated[Path | None, typer.Argument(metavar="JOB", help="From `stylereel plan`.")] = None,
    job: Annotated[Path | None, typer.Option("--job", help="The same as JOB, for render farms.")] = None,
    chunk: Annotated[
        str | None, typer.Option("--chunk", help="Chunks, numbered from 0, such as 3, 0-9 or 0-3,8. Default: all.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds to wait for chunks that other processes work on, such as 600. Default: no limit."
        ),
    ] = None,
    checksum: Checksum = False,
    as_json: AsJson = False,
    runner: RunnerName = "threads",
    address: Address = None,
    workers: Workers = None,
) -> None:
    """The second half of stylize: make the unfinished frames of a job.

    Any number of processes and machines may work on the same job; each chunk is made by one of them.
    """
    from tasks.shared.errors import UsageError

    if (file is None) == (job is None):
        raise UsageError("work requires one job file: stylereel work JOB, or stylereel work --job JOB")
    job_file, dask = file or job, dask_settings(runner, address, workers)
    assert job_file is not None
    stylize_folder.work_only(job_file, chunk=chunk, wait_s=wait, checksum=checksum, as_json=as_json, dask=dask)


def verify(
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The output folder or movie of an earlier stylize, such as out.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check every frame of an output folder against its record.

    Lists frames that are missing, changed or not made yet, and files that stylereel did not write.
    """
    stylize_folder.verify_output(output, as_json=as_json)


def dask_settings(runner: str, address: str | None, workers: int | None) -> DaskSettings | None:
    """The settings of the Dask cluster; None for threads.

    Raises:
        UsageError: an option of a cluster without --runner dask, or --workers with a running cluster.
    """
    from flows.runners.dask_runner import DaskSettings
    from tasks.shared.errors import UsageError

    if runner != "dask":
        if address is not None or workers is not None:
            raise UsageError("--address and --workers require --runner dask")
        return None
    if address is not None and workers is not None:
        raise UsageError("--workers requires a cluster for this call: remove --address or --workers")
    return DaskSettings(address, workers)


def raise_if_frames_failed(report: Path) -> None:
    """Reports failed frames that the stage itself accepts, up to ``stylize.max_bad_fraction``.

    Raises:
        InputsFailedError: the stage's report names failed frames.
    """
    from tasks.shared.errors import InputsFailedError

    found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    failed = [f"{name}: {f['path']}: {f['reason']}" for name, item in found.items() for f in item["failed"]]
    if failed:
        raise InputsFailedError(f"{len(failed)} inputs failed, all others are done:\n" + "\n".join(failed))


def _refuse_options_without_input(context: typer.Context) -> None:
    """Refuses options without INPUT: the stage of DVC takes its settings from params.yaml alone."""
    from tasks.shared.errors import UsageError

    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name != "threads"  # which is the machine's, not the job's
        and (source := context.get_parameter_source(parameter.name or ""))
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"{', '.join(given)} require INPUT and OUTPUT: without them, the settings are those of params.yaml"
        )
