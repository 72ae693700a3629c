"""Summary of a pipeline run for its page in Prefect: stages, figures, a frame of each shot, and where the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stylegan_core.config import load_params
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.sequences.listing import list_pictures
from stylegan_core.report.embed import PictureFile, picture_uri
from stylegan_core.report.figures import METRICS, SUBJECTS
from tasks.shared.lineage import PipelineLink
from tasks.stages.figures_files import read_figures
from tasks.stages.stage_reports import read_stylize_report

_MOST_SHOTS, _WIDTH_PX = 4, 480


def summarize_run(root: Path, link: PipelineLink, stages: Mapping[str, str]) -> str:
    """The summary as Markdown, with small pictures inside.

    Args:
        root: where the run worked.
        link: its lineage.
        stages: what became of each, by name: "ran", or why it did not.
    """
    commit = f" at commit `{link.git_commit[:12]}`" if link.git_commit else ""
    lines = [f"## {link.project or root.name}{commit}", "", link.gate, ""]
    lines += _table(("stage", "state"), list(stages.items()))
    lines += _shots(root)
    lines += _figures(root / "reports")
    lines += ["", "The review page, with every frame beside its plate:", "", f"    {root / 'reports' / 'review.html'}"]
    return "\n".join(lines) + "\n"


def _shots(root: Path) -> Iterator[str]:
    """Frames, failures and a picture of each shot."""
    stylized = root / "out" / "stylized"
    reports = read_stylize_report(stylized)
    rows = [(name, str(report.frames), str(len(report.failed))) for name, report in reports.items()]
    yield from _table(("shot", "frames", "failed"), rows)
    space = load_params(root / "params.yaml").stylize.output_space
    for name in [*reports][:_MOST_SHOTS]:
        try:
            frames = list_pictures(stylized / name)
            middle = PictureFile(frames[len(frames) // 2].path, "auto" if space == "source" else space)
            yield f"![{name}]({picture_uri(middle, width_px=_WIDTH_PX)})"
        except (UnreadablePictureError, OSError, ValueError):  # the review page says why
            continue
        yield ""


def _figures(reports: Path) -> Iterator[str]:
    figures = read_figures(reports)
    rows = []
    for name in (name for name in METRICS if name in figures):
        cells = (figures.get(f"{name}_{suffix}" if suffix else name) for suffix in SUBJECTS)
        rows.append((METRICS[name].title, *("" if value is None else f"{value:.4g}" for value in cells)))
    yield from _table(("figure", *SUBJECTS.values()), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from (f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
        yield ""
