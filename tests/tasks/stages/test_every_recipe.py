"""Every recipe through the real stages at a tiny size: trained, killed, resumed to the same bytes, put to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from torch import Tensor

from flows.runners.local_runner import LocalRunner
from stylegan_core.config import Params, parse_params
from stylegan_core.data.crops import CropSampler
from stylegan_core.data.manifest import ManifestRow, as_manifest, write_manifest
from stylegan_core.data.store import StoreWriter
from stylegan_core.inference.planning.request import Request
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import BaseRecipe, Conditions
from stylegan_core.recipes.model import load_model
from tasks.shared.errors import UsageError
from tasks.stages.evaluate import evaluate
from tasks.stages.evaluator import open_evaluators
from tasks.stages.train import train_model
from tasks.stages.training_plan import plan_trainings
from tasks.stylize.stylize import stylize_directory
from tests.tiny import tiny_sizes

BUDGET = {"budget_steps": 5, "r1_gamma": 0.1, "r1_every_steps": 2}
COMMON = {"accelerator": "cpu", "precision": "fp32", "validate_every_steps": 4, "checkpoint_every_s": 1e-9}

each = pytest.mark.parametrize("name", list_recipes())


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


def params_of(name: str) -> Params:
    config = tiny_sizes(config_class(name)) | BUDGET
    return parse_params({"train": {"recipe": name, "common": COMMON, name: config}})


def write_prepared(folder: Path, labels: tuple[str, ...]) -> None:
    """Pairs of pictures with labels, so that every recipe finds what it needs."""
    rows = []
    with StoreWriter(folder / "store", "srgb", "uint8") as writer:
        for number in range(5):
            rng = np.random.default_rng(number)
            before = rng.random((64, 64, 3), np.float32)
            for domain, pixels in (("content", before), ("style", 1 - before)):
                (folder.parent / domain).mkdir(exist_ok=True)
                cv2.imwrite(str(folder.parent / domain / f"{number}.png"), np.rint(pixels[..., ::-1] * 255))
                rows.append(
                    ManifestRow(
                        f"{domain}/{number}.png",
                        domain=domain,
                        pair=f"{number}",
                        split="validation" if number == 4 else "train",
                        labels=" ".join(f"{label}={number % 2}" for label in labels),
                        width_px=64,
                        height_px=64,
                        sample=writer.add(pixels),
                    )
                )
    write_manifest(as_manifest(rows), folder / "manifest.csv")


def train(name: str, place: Path) -> dict[str, bytes]:
    """Trains, and returns every file of the model."""
    (job,) = plan_trainings(params_of(name), place / "prepared").jobs
    train_model(job, place / "prepared", place / "models", place / "reports")
    return {path.name: path.read_bytes() for path in sorted((place / "models" / "all").iterdir())}


@pytest.fixture
def place(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    settings = params_of(name).train()
    write_prepared(tmp_path / "prepared", recipe_class(name).needs_with(settings.config).labels)
    return tmp_path


@each
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(name, place)
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(place / "another cache"))
    batch = CropSampler.batch
    last = 3 * params_of(name).train().config.discriminator_steps  # a batch each, and one is the generator's too

    def dying(sampler: CropSampler, step: int) -> Any:
        if step == last:
            raise KilledError
        return batch(sampler, step)

    with monkeypatch.context() as patch:
        patch.setattr(CropSampler, "batch", dying)
        with pytest.raises(KilledError):
            train(name, place)
    resumed_at: list[int] = []

    def noting(sampler: CropSampler, step: int) -> Any:
        resumed_at.append(step)
        return batch(sampler, step)

    monkeypatch.setattr(CropSampler, "batch", noting)
    assert train(name, place) == whole
    assert 0 < min(resumed_at) <= last, "it began again instead of going on"


@each
def test_it_stylizes_a_directory(name: str, place: Path) -> None:
    train(name, place)
    (place / "plates").mkdir()
    for number, (height, width) in enumerate(((40, 56), (37, 50))):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        cv2.imwrite(str(place / "plates" / f"{number}.png"), pixels)
    report = stylize_directory(
        Request(source=place / "plates", output=place / "out", model=place / "models" / "all"), LocalRunner()
    )
    assert (report.made, report.failed) == (2, ())
    scale = load_model(place / "models" / "all").recipe.scale
    for source in (place / "plates").iterdir():
        before, after = cv2.imread(str(source)), cv2.imread(str(place / "out" / source.name))
        assert after.shape == (before.shape[0] * scale, before.shape[1] * scale, 3)


@each
def test_it_is_validated_as_it_is_directed(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, seen = recipe_class(name), list[Conditions]()
    translate = recipe.translate

    def noting(self: BaseRecipe, content: Tensor, conditions: Conditions) -> Tensor:
        seen.append(conditions)
        return translate(self, content, conditions)

    monkeypatch.setattr(recipe, "translate", noting)
    train(name, place)
    assert seen, "nothing was validated"
    assert all((given.styles is not None) is ("styles" in recipe.conditioned_on) for given in seen)
    assert all((given.labels is not None) is ("labels" in recipe.conditioned_on) for given in seen)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("attributes", {}, "no training picture has the label 'smiling'.*lists what attributes needs"),
        ("keyframe", {"crop_px": 96}, "smaller than the training crops"),
    ],
)
def test_data_that_a_recipe_cannot_learn_from_are_a_wrong_setting(
    name: str, change: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    write_prepared(tmp_path / "prepared", labels=())
    section = params_of(name).train_section
    params = parse_params({"train": {**section, name: {**section[name], **change}}})
    (job,) = plan_trainings(params, tmp_path / "prepared").jobs
    with pytest.raises(UsageError, match=message):
        train_model(job, tmp_path / "prepared", tmp_path / "models", tmp_path / "reports")


@each
def test_it_is_evaluated_with_conditions_of_its_kind(name: str, place: Path) -> None:
    train(name, place)
    params = params_of(name)
    figures = evaluate(params, place / "prepared", place / "models", place / "reports", root=place)
    assert np.isfinite(figures["truth/psnr_db"])
    assert np.isfinite(figures["content/psnr_db"])
    (evaluator,) = open_evaluators(params, place / "prepared", place / "models", root=place)
    conditions = evaluator.translate.args[0]  # type: ignore[attr-defined]  # a partial of its conditions
    conditioned_on = evaluator.model.recipe.conditioned_on
    assert ("styles" in conditioned_on) == (conditions.styles is not None or conditions.style_codes is not None)
    assert ("labels" in conditioned_on) == (conditions.labels is not None and bool(conditions.labels.abs().sum() > 0))
