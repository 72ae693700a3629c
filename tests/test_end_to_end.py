"""The four stages with a tiny budget in a temporary clone, through `dvc repro`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.timeout(900)  # a hang, not slowness
def test_from_a_clone_to_a_stylized_shot(make_clone: Callable[..., Any]) -> None:
    clone = make_clone()
    clone.settings(clone.tiny)
    clone.dvc("repro")

    out, reports = clone.root / "out" / "stylized", clone.root / "reports"
    frames = sorted((out / "sample").glob("*.png"))
    assert len(frames) == clone.tiny["prepare.sample.frames"]
    assert (out / "sample.mp4").stat().st_size > 0
    assert not list(out.rglob(".stylereel")), "records are never part of a DVC output"
    figures = json.loads((reports / "metrics.json").read_text())
    for name in ("truth/swd", "truth/psnr_db", "truth/ssim", "truth/detail_ratio", "temporal/warp_error"):
        assert math.isfinite(figures[name])
        assert math.isfinite(figures[f"{name}_unstylized"])
    page = (reports / "review.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert 'src="http' not in page
    assert (reports / "train" / "all.csv").read_text().startswith("step,")

    # Nothing is left to do, also after an edit to a recipe that is not trained.
    clone.settings({"train.cut.blocks": 3})
    again = clone.dvc("repro")
    assert "up to date" in again.stdout + again.stderr
    assert "Running stage" not in again.stdout + again.stderr
    assert clone.run("git", "status", "--porcelain").stdout.split() == ["??", "dvc.lock"]

    # From a frame to the model, its MLflow run and the commit.
    trail = json.loads(clone.stylereel("whence", str(frames[0]), "--json").stdout)
    card = json.loads((clone.root / "models" / "all" / "model.json").read_text())
    assert list(trail["models"]) == [card["digest"]]
    assert trail["models"][card["digest"]]["mlflow_run"]
    assert len(trail["commits"]) == 1
    assert clone.run("git", "cat-file", "-t", trail["commits"][0]).stdout.strip() == "commit"
