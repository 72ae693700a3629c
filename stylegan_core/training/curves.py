"""Loss curves: means over windows of steps, the check that losses are finite, and the CSV for DVC's plots."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically

Row = dict[str, float]
"""One row of the curves: "step", and the metrics of that step by name."""


class NotFiniteError(ArithmeticError):
    """A loss or a weight is NaN or infinite; the message names it, the step, and what to try."""


@dataclass
class Window:
    """Sums and counts of losses since the last row."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Adds the losses of ``step`` (counted from 0).

        Raises:
            NotFiniteError: one of them is NaN or infinite.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise NotFiniteError(not_finite_message(name, value, step))
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> Row:
        """Mean of each term over the steps that had it; the window is empty afterwards."""
        means = {name: self.sums[name] / self.counts[name] for name in self.sums}
        self.sums.clear()
        self.counts.clear()
        return means


def not_finite_message(name: str, value: float, step: int) -> str:
    """The message about a term that is not finite."""
    return (
        f"{name} is {value} at step {step}: training stopped, and the last good checkpoint is kept. Try a lower "
        "learning rate (generator_lr, discriminator_lr), gradient_clip: 1.0, or train.common.precision: fp32"
    )


def write_curves(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows as CSV: the column step, then all others by name; missing values are empty.

    The bytes depend on the rows alone. Numbers have six significant digits.
    """
    names = sorted({name for row in rows for name in row} - {"step"})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *names])
    for row in rows:
        writer.writerow([int(row["step"]), *(f"{row[n]:.6g}" if n in row else "" for n in names)])
    write_bytes_atomically(path, text.getvalue().encode())
