"""A project that version 0.1.0 made and ran: after `stylereel sync`, `dvc repro` brings it up to date."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.timeout(900)
def test_dvc_repro_of_a_project_of_0_1_0(
    make_clone: Callable[..., Any], unpack_0_1_0: Callable[[str, Path], None], tmp_path: Path
) -> None:
    tool = make_clone("tool")
    unpack_0_1_0("project", tmp_path / "harbour")
    harbour = tool.at(tmp_path / "harbour")
    unpack_0_1_0("project_cache", Path(harbour.environment["STYLEREEL_CACHE_DIR"]))
    for command in (("init", "-q"), ("add", "--all"), ("commit", "-qm", "As 0.1.0 left it")):
        harbour.run("git", *command)
    harbour.configure()
    of_before = {path: path.read_bytes() for path in harbour.root.glob("*.yaml")}
    frames = {path.name for path in (harbour.root / "out/stylized/my_shot").glob("*.png")}

    harbour.stylereel("sync")
    done = harbour.dvc("repro")
    assert [line for line in done.stdout.splitlines() if line.startswith("Running stage")] == [
        f"Running stage '{stage}':" for stage in ("prepare", "train", "evaluate", "stylize")
    ]
    assert {path: path.read_bytes() for path in harbour.root.glob("*.yaml")} == of_before
    assert {path.name for path in (harbour.root / "out/stylized/my_shot").glob("*.png")} == frames
    card = json.loads((harbour.root / "models/my_shot/model.json").read_text())
    report = json.loads((harbour.root / "out/stylized/report.json").read_text())
    assert report["my_shot"]["model"] == card["digest"]
    assert (harbour.root / "reports/review.html").is_file()
    answer = harbour.stylereel("whence", "out/stylized/my_shot/shot.1001.png", "--json").stdout
    assert card["digest"] in json.loads(answer)["models"]
    assert "up to date" in harbour.dvc("repro").stdout
