"""A tiny recipe with all that a trainer must restore: phases, ratios, noise of two generators, a pool of fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylegan_core.config import CommonSettings, Training, TrainSettings
from stylegan_core.data.batch import Batch
from stylegan_core.recipes.base import BaseRecipe, Kind, Needs, ParameterGroup, Phase, RecipeConfig
from stylegan_core.training.trainer import Inputs, train

WARM_UP_STEPS = 3
SECOND_PHASE_STEPS = 7


class Config(RecipeConfig):
    budget_steps: int = 10
    crop_px: int = 16
    batch_size: int = 2
    ema_decay: float = 0.9
    break_at_step: int = -1


class TinyRecipe(BaseRecipe):
    kind = Kind.TRANSLATE
    needs = Needs()
    paper = "none"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config = config
        self.networks["generator"] = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(4, 3, 3, padding=1)
        )
        self.networks["discriminator"] = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 1, 4, stride=2))
        self.networks["head"] = nn.Conv2d(3, 3, 1)
        # A pool of earlier fakes, as CycleGAN has one: buffers, so that the checkpoint holds them.
        self.register_buffer("pool", torch.zeros(4, 3, 16, 16))
        self.register_buffer("pool_filled", torch.zeros((), dtype=torch.int64))

    def phases(self) -> list[Phase]:
        generator = ParameterGroup(("generator",), 1e-2, (0, 0.9))
        discriminator = ParameterGroup(("discriminator",), 2e-2, (0.5, 0.9))
        head = ParameterGroup(("head",), 3e-3, (0.5, 0.9))
        return [
            Phase("warm-up", WARM_UP_STEPS, (generator,)),
            Phase("gan", SECOND_PHASE_STEPS, (generator,), (discriminator,), discriminator_steps=2),
            Phase("gan and head", None, (generator, head), (discriminator,)),
        ]

    def generator_losses(self, batch: Batch, step: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        fake = self.networks["generator"](batch.content + 0.01 * torch.randn_like(batch.content))
        losses = {"l1": (fake - batch.style).abs().mean() * float(np.random.uniform(0.9, 1.1))}
        if step >= WARM_UP_STEPS:
            losses["adversarial"] = (self.networks["discriminator"](fake) - 1).square().mean()
        if step >= SECOND_PHASE_STEPS:
            losses["head"] = self.networks["head"](fake).square().mean()
        if step == self.config.break_at_step:
            losses["l1"] = losses["l1"] * float("nan")
        return losses, {"painted": fake}

    def discriminator_losses(self, batch: Batch, fakes: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        with torch.no_grad():
            place = int(self.pool_filled) % 4
            self.pool[place].copy_(fakes["painted"][0])
            self.pool_filled.add_(1)
        real, fake, old = (self.networks["discriminator"](x) for x in (batch.style, fakes["painted"], self.pool))
        losses = {"discriminator": (real - 1).square().mean() + fake.square().mean() + 0.1 * old.square().mean()}
        if step % 4 == 0:
            losses["r1"] = 0.1 * real.square().mean()
        return losses

    def translate(self, content: Tensor, conditions: Any) -> Tensor:
        return self.networks["generator"](content)


class Sampler:
    """Batches as a function of the step; may break or call back when one is asked for."""

    def __init__(self, on_batch: Callable[[int], None] | None = None) -> None:
        self.on_batch = on_batch
        self.asked: list[int] = []

    def batch(self, step: int) -> Batch:
        self.asked.append(step)
        if self.on_batch:
            self.on_batch(step)
        generator = torch.Generator().manual_seed(step)
        content = torch.rand(2, 3, 16, 16, generator=generator) * 2 - 1
        return Batch(content=content, style=-content)


class Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def start(self, total_steps: int, resumed_from: int, machine: object) -> None:
        self.calls.append(("start", total_steps, resumed_from))

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.calls.append(("metrics", step, values))

    def pictures(self, step: int, grid: np.ndarray) -> None:
        self.calls.append(("pictures", step, grid))

    def checkpoint(self, step: int) -> None:
        self.calls.append(("checkpoint", step))

    def finish(self, result: Any) -> None:
        self.calls.append(("finish", result))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == kind]


def validate(recipe: BaseRecipe) -> dict[str, float]:
    torch.rand(3)  # a careless validation draws numbers
    np.random.rand()
    assert not recipe.training
    content = Sampler().batch(0).content
    return {"score": float((recipe.translate(content, None) + content).square().mean())}


def make_training(config: dict[str, Any] | None = None, **common: Any) -> Training:
    settings = TrainSettings.model_construct(
        recipe="tiny",
        config=Config(**(config or {})),
        common=CommonSettings(
            **{"accelerator": "cpu", "validate_every_steps": 4, "log_every_steps": 3, "precision": "fp32"} | common
        ),
    )
    return Training.model_construct(name="tiny", shots=(), settings=settings)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> type[TinyRecipe]:
    monkeypatch.setattr("stylegan_core.training.trainer.recipe_class", lambda name: TinyRecipe)
    return TinyRecipe


@pytest.fixture
def run(tiny: type[TinyRecipe], tmp_path: Path) -> Callable[..., Any]:
    """Trains the tiny recipe in a folder: ``run(folder="a", config={}, sampler=..., observer=..., **common)``."""

    def run(
        folder: str = "run",
        config: dict[str, Any] | None = None,
        sampler: Any = None,
        observer: Any = None,
        check: Any = validate,
        sample: Any = None,
        init: Any = None,
        **common: Any,
    ) -> Any:
        return train(
            make_training(config, **common),
            Inputs(sampler or Sampler(), validate=check, sample=sample, init=init),
            tmp_path / folder,
            observer or Recorder(),
        )

    run.folder = tmp_path  # type: ignore[attr-defined]
    run.Sampler, run.Recorder = Sampler, Recorder  # type: ignore[attr-defined]
    return run
