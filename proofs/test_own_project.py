"""A user project: init, pictures, settings, stylize; then one more key frame, and a newer version of the tool."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.timeout(1800)
def test_a_shot_of_ones_own(make_clone: Callable[..., Any], tmp_path: Path) -> None:
    from stylegan_core.data.sample.build import build_sample

    tool = make_clone("tool")
    build_sample(tmp_path / "sample", frames=8, width_px=128, height_px=96, stroke_px=3)
    tool.run(sys.executable, "-m", "flows", "init", str(tmp_path / "film"))
    film = tool.at(tmp_path / "film")
    shot = tmp_path / "sample" / "shot"
    painted = sorted((shot / "painted").iterdir())
    for plate in (shot / "plates").iterdir():
        shutil.copy2(plate, film.root / "plates" / "my_shot")
    shutil.copy2(painted[0], film.root / "painted" / "my_shot")
    small = {name: value for name, value in tool.tiny.items() if not name.startswith("prepare.sample")}
    film.settings(small)

    film.stylereel("stylize")
    frames = sorted((film.root / "out" / "stylized" / "my_shot").glob("*.png"))
    assert [f.name for f in frames] == sorted(p.name for p in (shot / "plates").iterdir())
    assert (film.root / "reports" / "review.html").is_file()
    assert "up to date" in film.dvc("repro").stdout
    card = json.loads((film.root / "models" / "my_shot" / "model.json").read_text())
    assert card["shots"] == ["my_shot"]

    # One more key frame, from the model that is there.
    shutil.copy2(painted[1], film.root / "painted" / "my_shot")
    film.settings({"train.common.init_from": card["digest"][:12]})
    film.stylereel("stylize")
    later = json.loads((film.root / "models" / "my_shot" / "model.json").read_text())
    assert later["init_from"] == card["digest"]
    assert later["digest"] != card["digest"]

    # A newer version is detected: dvc alone refuses to record its results under the digest of the old code.
    (film.root / ".stylereel-code" / "train.txt").write_text("of another version\n")
    refused = film.dvc("repro", check=False)
    assert refused.returncode != 0
    assert "stylereel sync" in refused.stderr
    film.stylereel("sync")
    assert "Running stage" not in film.dvc("repro").stdout  # the code that the lock file records is back


def test_a_clone_of_it_has_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.project.init_project import init_project

    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@b.c")

    def run(root: Path, *command: str) -> str:
        return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout

    def dvc(root: Path, *arguments: str) -> str:
        return run(root, sys.executable, "-m", "dvc", *arguments)

    film = init_project(tmp_path / "film")
    for folder in ("plates", "painted"):
        (film / folder / "my_shot" / "shot.0001.png").write_text(folder)
    dvc(film, "add", "plates", "painted")
    run(film, "git", "commit", "-qam", "Add the pictures")  # `core.autostage`: DVC has added its files to the index
    dvc(film, "push")
    run(tmp_path, "git", "clone", "-q", "film", "night")
    night = tmp_path / "night"
    dvc(night, "pull", "plates.dvc", "painted.dvc")
    assert (night / "plates" / "my_shot" / "shot.0001.png").read_text() == "plates"
    status = json.loads(dvc(night, "status", "--json", "prepare"))
    changed = next(entry["changed deps"] for entry in status["prepare"] if "changed deps" in entry)
    assert "deleted" not in changed.values()
    assert "Running stage 'prepare'" in dvc(night, "repro", "--dry", "prepare")
    assert run(night, "git", "status", "--porcelain") == ""
