"""Promotion by hand and rollback; the promoted model is always available."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_core.storage.model_folder import read_model_digest
from tasks.promotion.default_model import default_model
from tasks.promotion.gate import run_gate
from tasks.promotion.promote import known_comparison, promote_by_hand, promote_candidates, rollback
from tasks.shared import registry, tracking
from tasks.shared.errors import UsageError
from tasks.shared.gate import GateError
from tasks.shared.locate_model import locate_model
from tasks.shared.promoted_copy import copy_folder, keep_copy, read_promoted
from tests.film_project import Film


@pytest.fixture
def twice(film: Film) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of the models of two nights, both promoted."""
    nights = []
    for seed, swd in ((1, 0.5), (2, 0.3)):
        nights.append(film.train(seed))
        film.evaluate(hill=swd, sea=swd)
        film.promote()
    return nights[0], nights[1]


def test_a_promotion_keeps_the_previous_one(film: Film, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    first, second = twice
    assert film.promoted() == second
    assert film.promoted("previous") == first
    for digests in twice:
        assert read_model_digest(copy_folder(film.root, "sea", digests["sea"])) == digests["sea"]
    film.train(3)
    film.evaluate(hill=0.2, sea=0.2)
    film.promote()
    assert film.promoted("previous") == second
    assert not copy_folder(film.root, "sea", first["sea"]).exists()  # two copies are kept


def test_a_rollback_holds_until_a_promotion_by_hand(film: Film, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    first, second = twice
    decision, version = rollback(film.root, "sea")
    assert (decision.outcome, decision.digest) == ("rolled back", second["sea"])
    assert version.digest == first["sea"]
    assert film.promoted() == {"hill": second["hill"], "sea": first["sea"]}
    promoted = read_promoted(film.root, "sea")
    assert promoted is not None
    assert promoted.digest == first["sea"]
    with pytest.raises(UsageError, match="no earlier promoted model"):
        rollback(film.root, "sea")
    result = run_gate(film.root)  # the next night, with the same model in models/
    assert not result.passed
    assert "stylereel promote sea" in result.summary()
    assert film.promoted()["sea"] == first["sea"]
    assert promote_by_hand(film.root, "sea").reason == "by hand"
    assert run_gate(film.root).passed
    assert film.promoted() == second
    assert film.decisions()[-2:] == [("sea", "rolled back"), ("sea", "promoted")]


def test_a_refused_model_is_promoted_by_hand(film: Film, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    third = film.train(3)
    film.evaluate(hill=0.3, sea=0.9)
    with pytest.raises(GateError):
        film.promote()
    assert "| worse |" in known_comparison(film.root, "sea")
    decision = promote_by_hand(film.root, "sea")
    assert (decision.outcome, decision.by, decision.compared_with) == ("promoted", "hand", twice[1]["sea"])
    tags = registry.find_version("sea", third["sea"]).tags
    assert (tags["promotion_outcome"], tags["promotion_reason"]) == ("promoted", "by hand")
    assert promote_by_hand(film.root, "sea").outcome == "unchanged"
    # The gate now has the other shot left, which was good enough.
    film.promote()
    assert film.promoted() == third


def test_versions_have_numbers_and_digests(film: Film, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    first, second = twice
    shutil.rmtree(film.root / "models")
    shutil.rmtree(film.root / ".stylereel" / "promoted")  # as in another clone: from the registry
    assert promote_by_hand(film.root, "sea", "1").digest == first["sea"]
    assert promote_by_hand(film.root, "sea", second["sea"][:8]).digest == second["sea"]
    assert read_model_digest(copy_folder(film.root, "sea", second["sea"])) == second["sea"]
    for text in ("9", first["sea"][:3], "zzzz"):
        with pytest.raises(UsageError, match=rf"has no version {text}; its last versions are: 2 \("):
            promote_by_hand(film.root, "sea", text)
    with pytest.raises(UsageError, match="holds no model: name a registered one"):
        promote_by_hand(film.root, "sea")


def test_work_on_demand_has_the_promoted_model_during_a_training(
    film: Film, twice: tuple[dict[str, str], dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    third = film.train(3)
    film.evaluate(hill=0.3, sea=0.9)
    with pytest.raises(GateError):
        film.promote()
    assert read_model_digest(locate_model(None, film.root / "models")) in third.values()
    chosen = default_model(film.root)
    assert read_model_digest(chosen) in twice[1].values()
    shutil.rmtree(film.root / "models")  # what dvc does when a training starts
    assert default_model(film.root) == chosen
    assert locate_model(chosen, film.root / "models") == chosen


def test_without_a_promoted_model_the_last_trained_is_used(film: Film, caplog: pytest.LogCaptureFixture) -> None:
    film.train(1)
    assert read_model_digest(default_model(film.root)) == read_model_digest(locate_model(None, film.root / "models"))
    assert "no model was promoted yet: using the last trained one" in caplog.text


def test_the_project_knows_the_promoted_model_without_mlflow(
    film: Film, twice: tuple[dict[str, str], dict[str, str]]
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tasks.promotion.default_model import default_model\n"
        "print(default_model(Path.cwd()))\nassert 'mlflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()) == default_model(film.root)


def test_another_clone_learns_of_a_promotion_from_the_server(
    film: Film, twice: tuple[dict[str, str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{film.root}/mlflow.db")
    shutil.rmtree(film.root / ".stylereel" / "promoted")
    found = default_model(film.root)
    assert found is not None
    assert read_model_digest(found) in twice[1].values()
    registry.set_alias("sea", twice[0]["sea"], "promoted")  # by another clone
    default_model(film.root)
    promoted = read_promoted(film.root, "sea")
    assert promoted is not None
    assert promoted.digest == twice[0]["sea"]


def test_a_server_that_is_away_leaves_the_copy(
    film: Film,
    twice: tuple[dict[str, str], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away() -> None:
        raise ConnectionError("no route to the tracking server")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "client", away)
    assert default_model(film.root) is not None
    assert "the promoted model of sea may be outdated" in caplog.text


def test_a_damaged_copy_is_made_again(film: Film, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    digest = twice[1]["sea"]
    copy = copy_folder(film.root, "sea", digest)
    (copy / "last.safetensors").write_bytes(b"damaged")
    assert keep_copy(film.root, "sea", film.root / "models" / "sea", digest) == copy
    original = (film.root / "models" / "sea" / "last.safetensors").read_bytes()
    assert (copy / "last.safetensors").read_bytes() == original
    (film.root / "models" / "sea" / "last.safetensors").write_bytes(b"damaged")
    (copy / "model.json").unlink()
    with pytest.raises(GateError, match=r"last\.safetensors is damaged"):
        keep_copy(film.root, "sea", film.root / "models" / "sea", digest)


def test_a_model_that_changes_after_the_decision_is_not_promoted(film: Film) -> None:
    film.train(1)
    film.evaluate(hill=0.5, sea=0.5)
    result = run_gate(film.root)
    film.train(2, ["sea"])
    with pytest.raises(GateError, match="changed since the gate decided"):
        promote_candidates(film.root, result)
    assert film.promoted() == {}


def test_an_alias_moved_while_the_power_failed_is_repaired(
    film: Film, twice: tuple[dict[str, str], dict[str, str]]
) -> None:
    pointer = film.root / ".stylereel" / "promoted" / "sea.json"
    pointer.write_text(json.dumps({"digest": twice[0]["sea"], "time": "2026-01-01T00:00:00Z"}))
    film.promote()
    promoted = read_promoted(film.root, "sea")
    assert promoted is not None
    assert promoted.digest == twice[1]["sea"]
