"""Metadata of a checkpoint: the plain values of a training's state, a JSON object in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from stylegan_core.training.curves import Window
from stylegan_core.training.hardware import Machine
from stylegan_core.training.progress import Progress
from stylegan_core.training.randomness import GeneratorMetadata


@dataclass(frozen=True)
class BestScore:
    """The lowest validation score so far.

    Attributes:
        step: steps done at that time.
        score: lower is better.
        metrics: of the validation.
    """

    step: int
    score: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class CheckpointMetadata:
    """Plain values of a training's state. The names and order of the fields are those in the file.

    Attributes:
        progress: counters and curves.
        best: the lowest validation score; None before the first validation.
        random: states of the random generators.
        machine: what the training computes on.
        scaler: state of the loss scaling; empty without one.
    """

    progress: Progress
    best: BestScore | None
    random: GeneratorMetadata
    machine: Machine
    scaler: dict[str, Any]  # PyTorch defines its keys

    def dump(self) -> dict[str, object]:
        """The JSON object of the file."""
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """The metadata in a JSON object that ``dump`` made; further keys are ignored.

        Raises:
            KeyError: a key is missing.
            TypeError: a value has unknown fields.
        """
        progress, best = document["progress"], document["best"]
        return cls(
            progress=Progress(**{**progress, "window": Window(**progress["window"])}),
            best=None if best is None else BestScore(**best),
            random=GeneratorMetadata(**document["random"]),
            machine=Machine(**document["machine"]),
            scaler=document["scaler"],
        )
