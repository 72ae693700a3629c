"""The task review: gathers what the stages wrote into the review page."""

from __future__ import annotations

import csv
import functools
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from stylegan_core.config import Params
from stylegan_core.data.manifest import read_manifest
from stylegan_core.data.subjects import Still, Subject, find_subjects
from stylegan_core.frames.profiles.ocio import config_name, prefer_config
from stylegan_core.frames.sequences.listing import Frame, list_pictures
from stylegan_core.inference.planning.selection.select import input_folder
from stylegan_core.report.curves import read_columns
from stylegan_core.report.embed import PictureFile
from stylegan_core.report.figures import describe, shown
from stylegan_core.report.review import FrameReview, Refused, ReviewData, ShotReview, write_review

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard
    from tasks.stages.stylize import StageItem
    from tasks.stylize.report import StylizeReport

_log = logging.getLogger(__name__)

_LABELS = {"git_commit": "Commit", "flow_run_id": "Prefect flow run", "dvc_lock": "dvc.lock before"}
_TOLD_ELSEWHERE = ("project", "made", "git_dirty", "mlflow_runs")
_KINDS = ("shot", "collection", "pairs")
_EVERY_PICTURE = 1_000_000


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
    """``reports/review.html`` of what the stage stylize has just made, with the lineage of this process.

    Args:
        params: all settings.
        items: what was stylized.
        done: one an item.
        output: folder of the stage.
        reports: where the page goes, and where the figures are.
        prepared: what prepare wrote.
        models: what train wrote.
    """
    from tasks.shared.origin import origin
    from tasks.shared.tracking import find_run_by_digest

    runs = {item.training: find_run_by_digest(item.model.card.digest) for item in items}
    lineage = {
        **origin(),
        "made": _now(),
        "mlflow_runs": {name: run_id for name, run_id in runs.items() if run_id},
        "stylized": f"{sum(r.made for r in done)} frames in {sum(r.seconds for r in done):.1f} s"
        + (f", {kept} taken from before" if (kept := sum(r.skipped for r in done)) else ""),
    }
    return build_review(params, prepared, models, reports, output, reports / "review.html", lineage)


def build_review(
    params: Params,
    prepared: Path,
    models: Path,
    reports: Path,
    stylized: Path,
    output_html: Path,
    lineage: Mapping[str, Any],
    *,
    root: Path | None = None,
) -> Path:
    """Writes the review page of a project from the files of its stages.

    Args:
        params: all settings.
        prepared: what prepare wrote: manifest.csv, shots.json, report.json.
        models: what train wrote, a folder a training.
        reports: metrics.json, evaluate/frames.csv and train/<name>.csv, as far as they are there.
        stylized: what stylize wrote: a folder of frames a shot (or of pictures), <name>.mp4 and report.json.
        output_html: the page.
        lineage: as from ``tasks.shared.origin.origin``, and ``made`` (date as text), ``mlflow_runs`` (id by name of the
            training), and whatever else is to be shown by its name.
        root: what relative paths in the manifest are relative to; default: the working folder.

    Returns:
        ``output_html``.

    Raises:
        ManifestError: prepared data are missing.
        ValueError: there is no stylized frame to show.
    """
    prefer_config(config_name(params.prepare.ocio))
    project = _Project(params, prepared, models, reports, stylized, lineage, root or Path())
    folders = sorted(path for path in stylized.iterdir() if path.is_dir() and not path.name.startswith("."))
    shots = [shot for folder in folders if (shot := project.shot(folder)) is not None]
    if not shots:
        raise ValueError(f"{stylized} holds no stylized frame: there is nothing to review")
    data = ReviewData(
        project=str(lineage.get("project") or "stylereel"),
        made=str(lineage.get("made") or _now()),
        shots=tuple(shots),
        figures={n: v for n, v in project.figures.items() if not _of_one_subject(n)},
        lineage=tuple(project.lineage_entries()),
        refused=tuple(project.refused()),
        warnings=tuple(Refused(e["path"], e["warning"], "prepare") for e in project.prepare_report.get("warnings", [])),
        notes=tuple(project.notes()),
    )
    write_review(output_html, data)
    _log.info("review page: %s", output_html)
    return output_html


@dataclass(frozen=True)
class _Project:
    """The files of a project, each read once."""

    params: Params
    prepared: Path
    models: Path
    reports: Path
    stylized: Path
    lineage: Mapping[str, Any]
    root: Path

    @functools.cached_property
    def manifest(self) -> pd.DataFrame:
        return read_manifest(self.prepared / "manifest.csv")

    @functools.cached_property
    def subjects(self) -> list[Subject]:
        return find_subjects(self.manifest, self.prepared, root=self.root, paired=False, max_pictures=_EVERY_PICTURE)

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        document = _read_json(self.reports / "metrics.json")
        return {n: float(v) for n, v in document.items() if isinstance(v, int | float)}

    @functools.cached_property
    def prepare_report(self) -> dict[str, Any]:
        return _read_json(self.prepared / "report.json")

    @functools.cached_property
    def stylize_report(self) -> dict[str, Any]:
        return _read_json(self.stylized / "report.json")

    @functools.cached_property
    def measured(self) -> dict[tuple[str, str], dict[str, float]]:
        """Figures of single frames, by subject and picture."""
        path = self.reports / "evaluate" / "frames.csv"
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {
            (row["subject"], row["picture"]): {n: float(v) for n, v in row.items() if "/" in n and v} for row in rows
        }

    @functools.cached_property
    def cards(self) -> dict[str, ModelCard]:
        """Cards of the models that are there, by training."""
        from stylegan_core.recipes.model import ModelError, read_card

        found = {}
        for training in self.params.trainings():
            try:
                found[training.name] = read_card(self.models / training.name)
            except ModelError as error:
                _log.warning("review page: %s", error)
        return found

    def shot(self, folder: Path) -> ShotReview | None:
        """A folder of stylized frames with all that is known of it; None if it has nothing to show."""
        name = folder.name
        try:
            results = list_pictures(folder)
        except ValueError:
            _log.warning("%s holds no picture: it is not in the review page", folder)
            return None
        subject = next((s for s in self.subjects if s.kind == "shot" and s.name == name), None)
        subject = subject or next(
            (s for s in self.subjects if s.kind != "shot" and self.params.stylize.input is None), None
        )
        frames = self._frames(results, subject)
        if not frames:
            return None
        training = self._training_of(name)
        card, curves = self.cards.get(training), self.reports / "train" / f"{training}.csv"
        movie = folder.with_name(f"{name}.mp4")
        styles = subject.styles if subject else ()
        own = [f"{kind}/{subject.name}/" for kind in _KINDS] if subject else []
        return ShotReview(
            name=name,
            frames=tuple(frames),
            facts=(*(self._facts(card, training) if card else ()), *self._asked(name)),
            style=PictureFile(styles[0], self.params.prepare.style_space) if styles else None,
            movie=movie if movie.is_file() else None,
            curves=curves if curves.is_file() else None,
            kept_step=_kept_step(card, curves) if card and curves.is_file() else None,
            figures={n.removeprefix(p): v for p in own for n, v in self.figures.items() if n.startswith(p)},
            frames_per_s=self.params.stylize.preview_fps,
        )

    def _frames(self, results: Sequence[Frame], subject: Subject | None) -> list[FrameReview]:
        spaces, asked = self.params.prepare, self.params.stylize.output_space
        given = self._given_input()
        frames = []
        for result in results:
            still = _still_of(result, subject) if subject else None
            original = still.content if still else given.get(result.relative.as_posix())
            if original is None or not original.is_file():
                _log.warning("%s: its input is not there, so it is not in the review page", result.path)
                continue
            painting = (still.truth or still.painted) if still else None
            frames.append(
                FrameReview(
                    label=result.relative.as_posix(),
                    result=PictureFile(result.path, spaces.content_space if asked == "source" else asked),
                    original=PictureFile(original, spaces.content_space),
                    number=result.number if still is not None and still.frame is not None else None,
                    truth=PictureFile(painting, spaces.style_space) if painting and painting.is_file() else None,
                    key=still is not None and still.painted is not None,
                    figures=self.measured.get((subject.name, still.name), {}) if subject and still else {},
                )
            )
        return frames

    def _given_input(self) -> dict[str, Path]:
        """Pictures of ``stylize.input`` by relative path, which the manifest does not know."""
        asked = self.params.stylize.input
        if asked is None or (self.root / asked).is_file():
            return {}  # the frames of a movie are not files
        folder = input_folder(self.root / asked)
        if not folder.is_dir():
            return {}
        return {frame.relative.as_posix(): frame.path for frame in list_pictures(folder)}

    def _training_of(self, name: str) -> str:
        if recorded := (self.stylize_report.get(name) or {}).get("training"):
            return str(recorded)
        trainings = self.params.trainings()
        return next((t.name for t in trainings if name in t.shots), trainings[0].name)

    def _facts(self, card: ModelCard, training: str) -> list[tuple[str, str]]:
        facts = [("Recipe", card.recipe), ("Model", card.digest)]
        if run_id := (self.lineage.get("mlflow_runs") or {}).get(training):
            facts.append(("MLflow run", str(run_id)))
        facts.append(("Steps", f"{card.steps:,} ({card.images_seen:,} crops)"))
        facts.append(("Working space", f"{card.working_space}, {card.sample_type}"))
        for which, figures in card.validation.items():
            told = {n: v for n, v in figures.items() if n not in ("score", "collapsed")}
            texts = [f"{describe(f'truth/{n}').title} {shown([v])[0]}" for n, v in told.items()]
            facts.append((f"Validation, {which}", ", ".join(texts) + (" (used)" if which == card.chosen else "")))
        if card.init_from:
            facts.append(("Continues from", card.init_from))
        return facts

    def _asked(self, name: str) -> list[tuple[str, str]]:
        """Directions and regions of a folder, as its report tells them."""
        asked = (self.stylize_report.get(name) or {}).get("asked") or {}
        return [(what.capitalize(), words) for what, words in asked.items()]

    def lineage_entries(self) -> list[tuple[str, str]]:
        """(label, value): the models first, then where they came from."""
        entries = []
        trainings = [training.name for training in self.params.trainings()]
        for name in trainings:
            of = f" of {name}" if len(trainings) > 1 else ""
            if card := self.cards.get(name):
                entries += [(f"Recipe{of}", card.recipe), (f"Model{of}", card.digest)]
            if run_id := (self.lineage.get("mlflow_runs") or {}).get(name):
                entries.append((f"MLflow run{of}", str(run_id)))
        for key, value in self.lineage.items():
            if value and key not in _TOLD_ELSEWHERE:
                entries.append((_LABELS.get(key) or key.replace("_", " ").capitalize(), str(value)))
        return entries

    def refused(self) -> list[Refused]:
        """Inputs that prepare refused or stylize could not do."""
        found = [Refused(e["path"], e["reason"], "prepare") for e in self.prepare_report.get("refused", [])]
        for name, item in self.stylize_report.items():
            found += [Refused(f"{name}/{e['path']}", e["reason"], "stylize") for e in item.get("failed", [])]
        return found

    def notes(self) -> list[str]:
        """What a reader should know before trusting the page."""
        notes = []
        if self.lineage.get("git_dirty") == "yes":
            notes.append("The working tree had uncommitted changes: the commit alone does not tell what was run.")
        for name, card in self.cards.items():
            if card.stopped_by != "budget":
                notes.append(f"Training of {name} ended before its budget of steps, by {card.stopped_by}.")
            if (figures := card.validation.get(card.chosen, {})).get("collapsed"):
                notes.append(
                    f"Mode collapse: {name} answers different pictures nearly alike; its results differ by "
                    f"{100 * figures['diversity']:.0f} % of what they should."
                )
        return notes


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def _still_of(result: Frame, subject: Subject) -> Still | None:
    """The input of a stylized picture: a shot's by frame number, another's by its path."""
    if subject.kind == "shot":
        return next((still for still in subject.stills if still.frame == result.number), None)
    ends = "/" + result.relative.as_posix()
    return next((still for still in subject.stills if ("/" + still.content.as_posix()).endswith(ends)), None)


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


def _of_one_subject(name: str) -> bool:
    return name.split("/", maxsplit=1)[0] in _KINDS and name.count("/") > 1


def _read_json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return document
