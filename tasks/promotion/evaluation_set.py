"""The frozen evaluation set of a comparison: its key, and the figures of models on each of its frames.

Figures are stored with a model's version, so a promoted model is measured again only if pictures, settings or code of
the evaluation have changed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from stylegan_core.config import Params, Training
from stylegan_core.data.manifest import read_manifest
from stylegan_core.data.subjects import spread
from stylegan_core.metrics import comparison
from stylegan_core.metrics.swd import smallest_side_px
from stylegan_core.storage.hashing import sha256_of
from tasks.project.code import code_digest

if TYPE_CHECKING:
    from tasks.stages.evaluator import Evaluator

log = logging.getLogger(__name__)

_STYLE_PICTURES = 16
"""Pictures of a subject without truth; each is compared with all pictures of the style."""


class FrameFigures(BaseModel):
    """A distance of a model, frame by frame.

    Attributes:
        metric: "truth/swd", or "style/swd" where no truth is known.
        values: by the name of the picture.
    """

    model_config = ConfigDict(frozen=True)

    metric: str
    values: dict[str, float]


Figures = dict[str, FrameFigures]
"""By the name of the shot or collection."""

_FIGURES = TypeAdapter(Figures)


def evaluation_key(params: Params, training: Training, prepared: Path, root: Path) -> str:
    """Digest of all that the figures of a model depend on besides the model: pictures, guides, settings, code.

    Args:
        params: all settings.
        training: of the model.
        prepared: what prepare wrote.
        root: the project.
    """
    manifest = [r for r in read_manifest(prepared / "manifest.csv") if not training.shots or r.shot in training.shots]
    pictures = [(r.path, r.sha256, r.domain, r.shot, r.frame, r.pair, r.split) for r in manifest]
    masks = sorted({row.mask for row in manifest if row.mask and (root / row.mask).is_file()})
    shots = prepared / "shots.json"
    listed = json.loads(shots.read_text(encoding="utf-8")) if shots.is_file() else {}
    parts = {
        "pictures": pictures,
        "masks": [sha256_of(root / mask) for mask in masks],
        "shots": {name: shot for name, shot in listed.items() if not training.shots or name in training.shots},
        "prepare": params.prepare.model_dump(mode="json"),
        "evaluate": params.evaluate.model_dump(mode="json", include={"every", "max_pictures"}),
        "code": code_digest("evaluate"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def as_json(figures: Figures) -> str:
    """The figures as JSON."""
    return _FIGURES.dump_json(figures, indent=1).decode()


def parse_figures(text: str | None) -> Figures | None:
    """What ``as_json`` wrote; None if there is nothing, or it is of another version."""
    try:
        return _FIGURES.validate_json(text) if text else None
    except ValidationError:
        return None


def table_figures(frames_table: Path, training: Training) -> Figures | None:
    """A training's figures in the table of the stage evaluate; None unless it has the truth of all its subjects.

    Args:
        frames_table: reports/evaluate/frames.csv.
        training: whose figures are read.
    """
    if not frames_table.is_file():
        return None
    with frames_table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not training.shots or row["subject"] in training.shots]
    found: dict[str, dict[str, float]] = {row["subject"]: {} for row in rows}
    for row in rows:
        if row.get("truth/swd"):
            found[row["subject"]][row["picture"]] = float(row["truth/swd"])
    if not found or not all(found.values()):
        return None
    return {name: FrameFigures(metric="truth/swd", values=values) for name, values in found.items()}


def measure(params: Params, prepared: Path, models: Mapping[str, Path], root: Path) -> dict[str, Figures]:
    """Measures models on the evaluation set; writes nothing into the project.

    Args:
        params: all settings.
        prepared: what prepare wrote.
        models: folders by training.
        root: the project.

    Returns:
        Figures by training.

    Raises:
        UsageError: prepared data or a model is missing or damaged.
    """
    from tasks.stages.evaluator import open_evaluators

    if not models:
        return {}
    # Neither filters nor flicker are compared.
    lean = params.evaluate.model_copy(update={"baselines": False, "temporal": False})
    shots = params.shots
    if params.prepare.source == "shots" and params.train().common.model_per_shot:
        shots = tuple(shot for shot in shots if shot.name in models)
    prepare = params.prepare
    if prepare.ocio is not None and (root / prepare.ocio).is_file():  # the working folder may be another one
        prepare = prepare.model_copy(update={"ocio": str(root / prepare.ocio)})
    chosen = params.model_copy(update={"prepare": prepare, "evaluate": lean, "shots": shots})
    found: dict[str, Figures] = {name: {} for name in models}
    with tempfile.TemporaryDirectory() as place:
        for name, folder in models.items():
            (Path(place) / name).symlink_to(folder.resolve())
        for evaluator in open_evaluators(chosen, prepared, Path(place), root=root):
            if (figures := _figures(evaluator)) is not None:
                found[evaluator.training][evaluator.subject.name] = figures
    return found


def _figures(evaluator: Evaluator) -> FrameFigures | None:
    from tasks.stages.evaluator import display_of, evaluate_picture

    subject = evaluator.subject
    known = [still for still in evaluator.stills if still.truth is not None]
    display = display_of(evaluator.colour)
    styles = [] if known else [display(evaluator.read(path, "style")) for path in subject.styles]
    if not known and not styles:
        log.warning("%s has neither truth nor pictures of its style: models are not compared on it", subject.name)
        return None
    values: dict[str, float] = {}
    for still in known or spread(evaluator.stills, _STYLE_PICTURES):
        picture = evaluate_picture(evaluator, still)
        result, truth = picture.result, picture.truth
        if min(result.shape[:2]) < smallest_side_px() or (truth is not None and truth.shape != result.shape):
            continue  # evaluate has warned of it
        values[still.name] = (
            comparison.style_swd([result], styles) if truth is None else comparison.frame_swd(result, truth)
        )
    metric = "truth/swd" if known else "style/swd"
    return FrameFigures(metric=metric, values=values) if values else None
