"""Inputs of the review page: the settings and the files of a project's stages, each file read once."""

from __future__ import annotations

import csv
import functools
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.config import Params
from stylegan_core.data.manifest import read_manifest
from stylegan_core.data.report import PrepareReport, read_prepare_report
from stylegan_core.data.subjects import Subject, find_subjects
from stylegan_core.frames.sequences.listing import list_pictures
from stylegan_core.inference.planning.selection.select import input_folder
from tasks.stages.figures_files import read_figures
from tasks.stages.stage_reports import ItemReport, read_stylize_report

if TYPE_CHECKING:
    from stylegan_core.recipes.model import ModelCard

_log = logging.getLogger(__name__)

_EVERY_PICTURE = 1_000_000


@dataclass(frozen=True)
class PageLineage:
    """Provenance of the page itself.

    Attributes:
        project: name of the project.
        made: local time, as text.
        uncommitted: whether the working tree had uncommitted changes.
        mlflow_runs: id of the MLflow run by training.
        facts: further values by name, such as git_commit, in the order in which they are displayed.
    """

    project: str = "stylereel"
    made: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M"))
    uncommitted: bool = False
    mlflow_runs: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, origin: Mapping[str, str], *, mlflow_runs: Mapping[str, str] | None = None, stylized: str = ""
    ) -> PageLineage:
        """The lineage of a page that this process writes.

        Args:
            origin: as from ``tasks.shared.origin.origin``.
            mlflow_runs: id of the MLflow run by training.
            stylized: what the stylize stage has just done, in words.
        """
        facts = {name: value for name, value in origin.items() if name not in ("project", "project_id", "git_dirty")}
        return cls(
            project=origin.get("project") or "stylereel",
            uncommitted=origin.get("git_dirty") == "yes",
            mlflow_runs=mlflow_runs or {},
            facts={**facts, "stylized": stylized},
        )


@dataclass(frozen=True)
class ReviewInputs:
    """A project's settings, the folders of its stages, and their content.

    Attributes:
        params: all settings.
        prepared: output of prepare: manifest.csv, shots.json, report.json.
        models: output of train, a folder per training.
        reports: metrics.json, speed.json, evaluate/frames.csv and train/<name>.csv, as far as they exist.
        stylized: output of stylize: a folder of frames per shot (or of pictures), <name>.mp4 and report.json.
        lineage: provenance of the page itself.
        root: what relative paths in the manifest are relative to.
    """

    params: Params
    prepared: Path
    models: Path
    reports: Path
    stylized: Path
    lineage: PageLineage = field(default_factory=PageLineage)
    root: Path = Path()

    @functools.cached_property
    def subjects(self) -> list[Subject]:
        """Shots and collections of the manifest, with every picture."""
        manifest = read_manifest(self.prepared / "manifest.csv")
        return find_subjects(manifest, self.prepared, root=self.root, paired=False, max_pictures=_EVERY_PICTURE)

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        """What evaluate measured; empty before it has run."""
        return read_figures(self.reports)

    @functools.cached_property
    def prepare_report(self) -> PrepareReport:
        """The report of prepare."""
        return read_prepare_report(self.prepared)

    @functools.cached_property
    def stylize_report(self) -> dict[str, ItemReport]:
        """The reports of the stylize stage by shot or folder."""
        return read_stylize_report(self.stylized)

    @functools.cached_property
    def frame_figures(self) -> dict[tuple[str, str], dict[str, float]]:
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
        """Model cards by training; a missing model is logged."""
        from stylegan_core.recipes.model import ModelError, read_card

        found = {}
        for training in self.params.trainings():
            try:
                found[training.name] = read_card(self.models / training.name)
            except ModelError as error:
                _log.warning("review page: %s", error)
        return found

    @functools.cached_property
    def stylize_input(self) -> dict[str, Path]:
        """Pictures of ``stylize.input`` by relative path, which the manifest does not list; none of a movie."""
        named = self.params.stylize.input
        if named is None or (self.root / named).is_file():
            return {}
        folder = input_folder(self.root / named)
        if not folder.is_dir():
            return {}
        return {frame.relative.as_posix(): frame.path for frame in list_pictures(folder)}

    def training_of(self, name: str) -> str:
        """The training whose model stylized the shot or folder ``name``."""
        item = self.stylize_report.get(name)
        if item is not None and item.training:
            return item.training
        trainings = self.params.trainings()
        return next((t.name for t in trainings if name in t.shots), trainings[0].name)
