"""Progress of a training: counters and curves."""

from __future__ import annotations

from dataclasses import dataclass, field

from stylegan_core.training.curves import Row, Window


@dataclass
class Progress:
    """Counters and curves.

    Attributes:
        step: generator steps done.
        position: batches drawn, which is all of the sampler's state.
        phase: index of the phase whose optimizers are in use; -1: none yet.
        elapsed_s: time spent, over all starts.
        history: rows of the curves.
        window: losses since the last row.
        validation: metrics of the last scheduled validation.
    """

    step: int = 0
    position: int = 0
    phase: int = -1
    elapsed_s: float = 0.0
    history: list[Row] = field(default_factory=list)
    window: Window = field(default_factory=Window)
    validation: dict[str, float] = field(default_factory=dict)
