"""The pipeline's promise: what stylize paints with is promoted; and the flows' ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import chain as chain_module
from flows import pipeline as pipeline_module
from flows import stylize as stylize_module
from flows.chain import ChainSettings, chain
from flows.runners.local_runner import LocalRunner
from tasks.shared.gate import GateError
from tasks.shared.lineage import PipelineLink, model_digests
from tests.film_project import Film


class Nights:
    """Pipelines of a project, whose train and evaluate are replaced by given models and figures."""

    def __init__(self, film: Film) -> None:
        self.film, self.painted = film, list[dict[str, str]]()
        self._seed, self._swd = 0, 0.0

    def reproduce(self, root: Path, stage: str, **_: Any) -> None:
        if stage == "train":
            self.film.train(self._seed)
        elif stage == "evaluate":
            self.film.evaluate(hill=self._swd, sea=self._swd)
        elif stage == "stylize":
            self.painted.append(model_digests(root))
            assert self.film.promoted() == model_digests(root)

    def run(self, seed: int, swd: float) -> PipelineLink:
        self._seed, self._swd = seed, swd
        return chain(LocalRunner(), self.film.root, ChainSettings(push=False))


def test_stylize_has_promoted_models_alone(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = Nights(film)
    monkeypatch.setattr(chain_module, "reproduce", nights.reproduce)
    monkeypatch.setattr(chain_module, "sync", lambda root: None)
    link = nights.run(1, 0.5)
    first = film.promoted()
    assert not link.refused
    assert {name: model.digest for name, model in link.models.items()} == first
    with pytest.raises(GateError, match="worse"):
        nights.run(2, 0.6)
    assert nights.run(2, 0.6).refused  # the next night does not fail again
    assert film.promoted() == first
    assert nights.run(3, 0.4).gate.startswith("hill: promoted")
    assert nights.run(3, 0.4).gate.startswith("hill: unchanged")  # stylize may have failed: it is up to date or runs
    third = film.promoted()
    assert third != first
    assert nights.painted == [first, third, third]


def test_a_refused_night_ends_completed_with_a_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    link = PipelineLink(flow_run_id="", dvc_lock="", models={}, gate="all: refused on Monday", time="", refused=True)
    monkeypatch.setattr(pipeline_module, "chain", lambda runner, root, settings: link)
    state = pipeline_module.pipeline.fn()
    assert state.is_completed()
    assert state.message == "nothing promoted, stylize skipped: all: refused on Monday"
    assert "refused" not in link.as_dict()


def test_work_on_demand_uses_the_promoted_model(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    film.train(1)
    film.evaluate(hill=0.5, sea=0.5)
    film.promote()
    film.train(2)
    models: list[Any] = []
    monkeypatch.setattr(stylize_module, "stylize_command", lambda *_, model: models.append(model) or {})
    pipeline_module.stylize_on_demand.fn("in", "out")
    pipeline_module.stylize_on_demand.fn("in", "out", model="models/sea")
    assert models[0].parent.parent == film.root / ".stylereel" / "promoted"
    assert models[0].name in [digest[:16] for digest in film.promoted().values()]
    assert models[1] == "models/sea"
