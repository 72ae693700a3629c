"""The promotion gate: each shot against the promoted model's, one refusal a reason, and records that say why."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stylegan_core.config import load_params
from tasks.promotion import gate as gate_module
from tasks.promotion.evaluation_set import measure
from tasks.promotion.gate import run_gate
from tasks.shared import registry, tracking
from tasks.shared.gate import GateError
from tasks.stages.evaluate import evaluate
from tests.film_project import Film


@pytest.fixture
def promoted(film: Film) -> dict[str, str]:
    """Digests of the models that passed first."""
    digests = film.train(1)
    film.evaluate(hill=0.5, sea=[0.4, 0.5, 0.6, 0.3, 0.5, 0.4])
    film.promote()
    return digests


def test_the_first_models_need_the_absolute_bar_alone(film: Film, promoted: dict[str, str]) -> None:
    assert film.promoted() == promoted
    assert film.promoted("previous") == {}
    assert film.decisions() == [("hill", "promoted"), ("sea", "promoted")]
    version = registry.find_version("sea", promoted["sea"])
    assert version.tags["promotion_outcome"] == "promoted"
    assert "truth/swd is 0.45, the limit 1 x 1 (untouched input)" in version.tags["promotion_reason"]
    assert "| sea | truth/swd | 6 | 0.45 |" in version.description
    stored = json.loads(registry.read_annotation(version, "decision.json") or "")
    assert stored["shots"][0]["candidate"] == pytest.approx(0.45)
    assert registry.read_annotation(version, "decision.md") == version.description


def test_one_shot_that_gets_worse_is_refused_though_the_mean_is_better(film: Film, promoted: dict[str, str]) -> None:
    digests = film.train(2)
    film.evaluate(hill=0.1, sea=[0.44, 0.55, 0.66, 0.33, 0.55, 0.44])
    with pytest.raises(GateError, match=r"sea is not promoted: worse than .* by more than 2 %: in sea") as raised:
        film.promote()
    assert "| sea | truth/swd | 6 | 0.495 | 0.45 | +10.0 % (+10.0 to +10.0) | worse |" in str(raised.value)
    assert "hill" not in str(raised.value)
    assert film.promoted() == promoted
    assert film.decisions()[2:] == [("hill", "held"), ("sea", "refused")]
    version = registry.find_version("sea", digests["sea"])
    assert version.tags["promotion_outcome"] == "refused"
    assert version.tags["promotion_compared_with"] == promoted["sea"]
    assert "| worse |" in version.description


def test_what_was_refused_is_not_refused_again_until_something_changes(
    film: Film, promoted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film.train(2)
    film.evaluate(hill=0.1, sea=0.9)
    with pytest.raises(GateError):
        run_gate(film.root)
    before = film.decisions()
    for _ in range(2):
        again = run_gate(film.root)
        assert not again.passed
        assert [d.outcome for d in again.decisions] == ["held", "refused"]
        assert "sea: refused, refused on 2" in again.summary()
        assert ", unchanged since: worse than the promoted model" in again.summary()
    assert film.decisions() == before
    film.set_params({"margin": 0.5})
    with pytest.raises(GateError, match="by more than 50 %"):  # decided anew
        run_gate(film.root)
    film.train(3)  # another model
    film.evaluate(hill=0.1, sea=0.1)
    film.promote()
    assert film.promoted() != promoted
    assert film.promoted("previous") == promoted


def test_the_absolute_bar_holds_in_each_shot(film: Film) -> None:
    film.train(1)
    film.evaluate(hill=0.1, sea=1.1)
    with pytest.raises(GateError, match=r"sea is not promoted: in sea, truth/swd is 1.1, the limit 1 x 1"):
        run_gate(film.root)
    assert film.promoted() == {}
    with pytest.raises(GateError, match=r"hill is not promoted: in hill, .* the limit 0.05 x 1"):
        run_gate(film.root, max_swd_ratio=0.05)
    assert run_gate(film.root, max_swd_ratio=1.2).passed


def test_a_difference_that_is_no_larger_than_chance_is_promoted_and_said(film: Film, promoted: dict[str, str]) -> None:
    film.train(2)
    film.evaluate(hill=0.505, sea=[0.6, 0.4, 0.5, 0.5, 0.4, 0.5])  # +1 %, and +7 % with a wide interval
    result = run_gate(film.root)
    assert result.passed
    assert [shot.verdict for decision in result.decisions for shot in decision.shots] == ["not worse", "uncertain"]
    assert "by shot: uncertain in 1" in result.summary()


def test_the_promoted_model_itself_needs_no_comparison(
    film: Film, promoted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "_all_figures", None)
    result = run_gate(film.root)
    assert [d.outcome for d in result.decisions] == ["unchanged", "unchanged"]
    film.promote()
    assert len(film.decisions()) == 2


def test_after_a_change_of_the_pictures_the_promoted_model_is_measured_on_them(
    film: Film, promoted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film.train(2)
    film.prepare(truth=["sea"], seed=1)
    params = load_params(film.root / "params.yaml")
    evaluate(params, film.root / "data/prepared", film.root / "models", film.root / "reports", root=film.root)
    reports = {p: p.read_bytes() for p in (film.root / "reports").rglob("*") if p.is_file()}
    film.set_params({"max_swd_ratio": 1e6, "margin": 0.99})
    result = run_gate(film.root)
    hill, sea = (decision.shots[0] for decision in result.decisions)
    assert (hill.metric, sea.metric) == ("style/swd", "truth/swd")
    assert (hill.frames, sea.frames) == (6, 6)  # key frames are not compared
    figures = json.loads((film.root / "reports/metrics.json").read_text())
    assert sea.candidate == pytest.approx(figures["shot/sea/truth/swd"], rel=1e-4)
    # The promoted model's figure is that of the stage evaluate, were it in models/.
    film.train(1, register=False)
    evaluate(params, film.root / "data/prepared", film.root / "models", film.root / "other", root=film.root)
    other = json.loads((film.root / "other/metrics.json").read_text())
    assert sea.promoted == pytest.approx(other["shot/sea/truth/swd"], rel=1e-4)
    assert {p: p.read_bytes() for p in reports} == reports

    film.train(2, register=False)
    monkeypatch.setattr(gate_module, "measure", lambda params, prepared, models, root: dict(models) and 1 / 0)
    assert run_gate(film.root).decisions[1].shots == result.decisions[1].shots  # figures of both are stored


def test_a_promoted_model_that_cannot_be_measured_is_an_error(film: Film, promoted: dict[str, str]) -> None:
    film.train(2)
    film.prepare(seed=1)
    film.evaluate(hill=0.5, sea=0.5)
    for card in (film.root / ".stylereel" / "promoted").glob("*/*/model.json"):
        card.write_text(card.read_text().replace("keyframe", "of_a_later_version"))
    with pytest.raises(GateError, match=r"the promoted model of hill, sea cannot be measured: .*stylereel promote"):
        run_gate(film.root)
    assert len(film.decisions()) == 2


def test_measuring_needs_only_the_models_that_are_measured(film: Film) -> None:
    film.train(1)
    params, prepared = load_params(film.root / "params.yaml"), film.root / "data/prepared"
    found = measure(params, prepared, {"sea": film.root / "models/sea"}, film.root)
    assert list(found) == ["sea"]
    assert list(found["sea"]) == ["sea"]
    assert measure(params, prepared, {}, film.root) == {}


def test_a_model_that_could_not_be_registered_at_its_training_is_registered_now(film: Film) -> None:
    digests = film.train(1, register=False)
    film.evaluate(hill=0.5, sea=0.5)
    film.promote()
    assert film.promoted() == digests
    run = tracking.client().get_run(registry.find_version("sea", digests["sea"]).run_id)
    assert run.info.status == "FINISHED"
    assert tracking.find_run_by_digest(digests["sea"]) == run.info.run_id


def test_a_registry_that_is_away_is_an_error(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = film.train(1)
    film.evaluate(hill=0.5, sea=0.5)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the tracking server")

    store = tracking.client()
    monkeypatch.setattr(store, "set_registered_model_alias", away)
    with pytest.raises(registry.RegistryError, match=r"cannot set the alias promoted of hill .*: no route"):
        film.promote()
    assert film.promoted() == {}
    monkeypatch.setattr(tracking, "client", away)
    with pytest.raises(registry.RegistryError, match="cannot list the versions of hill"):
        run_gate(film.root)
    assert digests


def test_figures_that_are_missing_or_not_finite_are_an_error(film: Film) -> None:
    film.train(1)
    with pytest.raises(GateError, match=r"metrics\.json cannot be read"):
        run_gate(film.root)
    film.evaluate(hill=0.5, sea=float("nan"))
    with pytest.raises(GateError, match="not finite: shot/sea/truth/swd"):
        run_gate(film.root)
    assert film.decisions() == []


def test_the_log_has_the_decision(film: Film, caplog: pytest.LogCaptureFixture) -> None:
    film.train(1)
    film.evaluate(hill=0.5, sea=0.5)
    with caplog.at_level(logging.INFO, "tasks.promotion"):
        film.promote()
    assert "promotion gate: hill: promoted, there is no promoted model yet" in caplog.text


def test_no_stage_depends_on_the_section(film: Film) -> None:
    stages = YAML(typ="safe").load(Path(__file__).parents[3] / "dvc.yaml")["stages"]
    assert set(stages) == {"prepare", "train", "evaluate", "stylize"}
    assert "promote" not in str(stages)
