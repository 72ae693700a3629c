"""One shot of the review page: its frames with their inputs and ground truth, its model and its figures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.data.subjects import Still, Subject
from stylegan_core.frames.sequences.listing import Frame, list_pictures
from stylegan_core.report.curves import read_columns
from stylegan_core.report.embed import PictureFile
from stylegan_core.report.figures import describe, shown
from stylegan_core.report.review import FrameReview, ShotReview
from tasks.stages.review_inputs import ReviewInputs

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard

_log = logging.getLogger(__name__)

_KINDS = ("shot", "collection", "pairs")


def review_shot(inputs: ReviewInputs, folder: Path) -> ShotReview | None:
    """Gathers what is known of a folder of stylized frames.

    Args:
        inputs: of the page.
        folder: below ``inputs.stylized``.

    Returns:
        None if no frame of the folder can be shown; the reason is logged.
    """
    name = folder.name
    try:
        results = list_pictures(folder)
    except ValueError:
        _log.warning("%s holds no picture: the review page omits it", folder)
        return None
    subject = _subject_of(inputs, name)
    frames = _frames(inputs, results, subject)
    if not frames:
        return None
    training = inputs.training_of(name)
    card, curves = inputs.cards.get(training), inputs.reports / "train" / f"{training}.csv"
    movie = folder.with_name(f"{name}.mp4")
    styles = subject.styles if subject else ()
    prefixes = [f"{kind}/{subject.name}/" for kind in _KINDS] if subject else []
    return ShotReview(
        name=name,
        frames=tuple(frames),
        facts=(*(_model_facts(inputs, card, training) if card else ()), *_settings(inputs, name)),
        style=PictureFile(styles[0], inputs.params.prepare.style_space, inputs.params.prepare.ocio) if styles else None,
        movie=movie if movie.is_file() else None,
        curves=curves if curves.is_file() else None,
        kept_step=_kept_step(card, curves) if card and curves.is_file() else None,
        figures={n.removeprefix(p): v for p in prefixes for n, v in inputs.figures.items() if n.startswith(p)},
        frames_per_s=inputs.params.stylize.preview_fps,
    )


def is_of_one_subject(figure: str) -> bool:
    """Whether a figure of metrics.json belongs to one shot or collection, not to the whole project."""
    return figure.split("/", maxsplit=1)[0] in _KINDS and figure.count("/") > 1


def _subject_of(inputs: ReviewInputs, name: str) -> Subject | None:
    """The shot called ``name``; for other folders the first collection, unless ``stylize.input`` is set."""
    shot = next((s for s in inputs.subjects if s.kind == "shot" and s.name == name), None)
    if shot is not None or inputs.params.stylize.input is not None:
        return shot
    return next((s for s in inputs.subjects if s.kind != "shot"), None)


def _frames(inputs: ReviewInputs, results: Sequence[Frame], subject: Subject | None) -> list[FrameReview]:
    found = []
    for result in results:
        still = _still_of(result, subject) if subject else None
        original = still.content if still else inputs.stylize_input.get(result.relative.as_posix())
        if original is None or not original.is_file():
            _log.warning("%s: its input is missing, so the review page omits it", result.path)
            continue
        found.append(_frame(inputs, result, original, subject, still))
    return found


def _frame(
    inputs: ReviewInputs, result: Frame, original: Path, subject: Subject | None, still: Still | None
) -> FrameReview:
    spaces, output_space = inputs.params.prepare, inputs.params.stylize.output_space
    painting = (still.truth or still.style) if still else None
    return FrameReview(
        label=result.relative.as_posix(),
        result=PictureFile(
            result.path, spaces.content_space if output_space == "source" else output_space, spaces.ocio
        ),
        original=PictureFile(original, spaces.content_space, spaces.ocio),
        number=result.number if still is not None and still.frame is not None else None,
        truth=PictureFile(painting, spaces.style_space, spaces.ocio) if painting and painting.is_file() else None,
        key=still is not None and still.style is not None,
        figures=inputs.frame_figures.get((subject.name, still.name), {}) if subject and still else {},
    )


def _still_of(result: Frame, subject: Subject) -> Still | None:
    """The input of a stylized picture: by frame number in a shot, else by path."""
    if subject.kind == "shot":
        return next((still for still in subject.stills if still.frame == result.number), None)
    ends = "/" + result.relative.as_posix()
    return next((still for still in subject.stills if ("/" + still.content.as_posix()).endswith(ends)), None)


def _model_facts(inputs: ReviewInputs, card: ModelCard, training: str) -> list[tuple[str, str]]:
    facts = [("Recipe", card.recipe), ("Model", card.digest)]
    if run_id := inputs.lineage.mlflow_runs.get(training):
        facts.append(("MLflow run", run_id))
    facts.append(("Steps", f"{card.steps:,} ({card.images_seen:,} crops)"))
    facts.append(("Working space", f"{card.working_space}, {card.sample_type}"))
    for which, figures in card.validation.items():
        displayed = {n: v for n, v in figures.items() if n not in ("score", "collapsed")}
        texts = [f"{describe(f'truth/{n}').title} {shown([v])[0]}" for n, v in displayed.items()]
        facts.append((f"Validation, {which}", ", ".join(texts) + (" (used)" if which == card.chosen else "")))
    if card.init_from:
        facts.append(("Continues from", card.init_from))
    return facts


def _settings(inputs: ReviewInputs, name: str) -> list[tuple[str, str]]:
    """Strength, references, edits and regions of a folder, as its report lists them."""
    item = inputs.stylize_report.get(name)
    return [(what.capitalize(), text) for what, text in item.asked.items()] if item else []


def _kept_step(card: ModelCard, curves: Path) -> float | None:
    """The step of the best validation, where the best weights are used."""
    if card.chosen != "best":
        return None
    columns = read_columns(curves)
    for name, best in card.validation.get("best", {}).items():
        for step, value in zip(columns.get("step", []), columns.get(f"validation/{name}", []), strict=False):
            if value is not None and abs(value - best) <= 1e-5 * max(abs(best), 1e-12):
                return step
    return None
