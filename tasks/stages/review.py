"""The task review: gathers the outputs of the stages into the review page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.config import Params
from stylegan_core.report.review import Refused, ReviewData, write_review
from tasks.stages.review_inputs import PageLineage, ReviewInputs
from tasks.stages.review_shots import is_of_one_subject, review_shot

if TYPE_CHECKING:
    from tasks.stages.stylize_items import StageItem
    from tasks.stylize.report import StylizeReport

_log = logging.getLogger(__name__)

_LABELS = {"git_commit": "Commit", "flow_run_id": "Prefect flow run", "dvc_lock": "dvc.lock before"}


def write_review_page(
    params: Params,
    items: Sequence[StageItem],
    done: Sequence[StylizeReport],
    output: Path,
    reports: Path,
    *,
    prepared: Path = Path("data/prepared"),
    models: Path = Path("models"),
) -> Path:
    """Writes ``reports/review.html`` after the stylize stage, with the lineage of this process.

    Args:
        params: all settings.
        items: what was stylized.
        done: one report per item.
        output: folder of the stage.
        reports: where the page goes, and where the figures are.
        prepared: output of prepare.
        models: output of train.
    """
    from tasks.shared.origin import origin
    from tasks.shared.tracking import find_run_by_digest

    runs = {item.training: find_run_by_digest(item.model.card.digest) for item in items}
    skipped = sum(report.skipped for report in done)
    lineage = PageLineage.of(
        origin(),
        mlflow_runs={name: run_id for name, run_id in runs.items() if run_id},
        stylized=f"{sum(r.made for r in done)} frames in {sum(r.seconds for r in done):.1f} s"
        + (f", {skipped} reused from an earlier run" if skipped else ""),
    )
    return build_review(
        ReviewInputs(params, prepared, models, reports, output, lineage), output_html=reports / "review.html"
    )


def build_review(inputs: ReviewInputs, output_html: Path) -> Path:
    """Writes the review page of a project.

    Args:
        inputs: settings and folders of the project.
        output_html: the page.

    Returns:
        ``output_html``.

    Raises:
        ManifestError: prepared data are missing.
        ValueError: there is no stylized frame to show.
    """
    folders = sorted(path for path in inputs.stylized.iterdir() if path.is_dir() and not path.name.startswith("."))
    shots = [shot for folder in folders if (shot := review_shot(inputs, folder)) is not None]
    if not shots:
        raise ValueError(f"{inputs.stylized} holds no stylized frame: run `stylereel stylize` first")
    data = ReviewData(
        project=inputs.lineage.project,
        made=inputs.lineage.made,
        shots=tuple(shots),
        figures={n: v for n, v in inputs.figures.items() if not is_of_one_subject(n)},
        lineage=tuple(_lineage_entries(inputs)),
        refused=tuple(_refused(inputs)),
        warnings=tuple(Refused(entry.path, entry.warning, "prepare") for entry in inputs.prepare_report.warnings),
        notes=tuple(_notes(inputs)),
    )
    write_review(output_html, data)
    _log.info("review page: %s", output_html)
    return output_html


def _lineage_entries(inputs: ReviewInputs) -> list[tuple[str, str]]:
    """(label, value): the models first, then what they were made from."""
    entries = []
    trainings = [training.name for training in inputs.params.trainings()]
    for name in trainings:
        suffix = f" of {name}" if len(trainings) > 1 else ""
        if card := inputs.cards.get(name):
            entries += [(f"Recipe{suffix}", card.recipe), (f"Model{suffix}", card.digest)]
        if run_id := inputs.lineage.mlflow_runs.get(name):
            entries.append((f"MLflow run{suffix}", run_id))
    entries += [
        (_LABELS.get(name) or name.replace("_", " ").capitalize(), value)
        for name, value in inputs.lineage.facts.items()
        if value
    ]
    return entries


def _refused(inputs: ReviewInputs) -> list[Refused]:
    """Inputs that prepare refused or stylize could not process."""
    found = [Refused(entry.path, entry.reason, "prepare") for entry in inputs.prepare_report.refused]
    for name, item in inputs.stylize_report.items():
        found += [Refused(f"{name}/{entry.path}", entry.reason, "stylize") for entry in item.failed]
    return found


def _notes(inputs: ReviewInputs) -> list[str]:
    """Caveats that a reader must know before trusting the page."""
    notes = []
    if inputs.lineage.uncommitted:
        notes.append("The working tree had uncommitted changes: the commit alone does not identify what was run.")
    for name, card in inputs.cards.items():
        if card.stopped_by != "budget":
            notes.append(f"Training of {name} ended before its budget of steps, by {card.stopped_by}.")
        if (figures := card.validation.get(card.chosen, {})).get("collapsed"):
            notes.append(
                f"Mode collapse: {name} translates different pictures to nearly the same one; its results differ by "
                f"{100 * figures['diversity']:.0f} % of what they should."
            )
    return notes
