"""The doctor tells known breakages from what works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.project.doctor import examine, known_breakages

GOOD = {"fastapi": "0.149.0", "sqlalchemy": "2.0.44", "opencv-contrib-python-headless": "4.12.0"}


def test_a_good_installation() -> None:
    assert [f.verdict for f in known_breakages(GOOD)] == ["ok"]


@pytest.mark.parametrize(
    ("change", "topic", "message"),
    [
        ({"fastapi": "0.161.0"}, "fastapi", "<0.150"),
        ({"sqlalchemy": "2.1.0"}, "sqlalchemy", "<2.1"),
        ({"opencv-python-headless": "4.12.0"}, "opencv", "uninstall all"),
    ],
)
def test_known_breakages(change: dict[str, str], topic: str, message: str) -> None:
    (finding,) = known_breakages({**GOOD, **change})
    assert (finding.topic, finding.verdict) == (topic, "wrong")
    assert message in finding.text


def test_the_plain_opencv_lacks_the_painter() -> None:
    wheels = {k: v for k, v in GOOD.items() if "opencv" not in k} | {"opencv-python": "4.12.0"}
    assert "xphoto" in known_breakages(wheels)[0].text


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    found = {f.topic: f for f in examine()}
    assert not [f for f in found.values() if f.verdict == "wrong"]
    assert "torch" in found["versions"].text
    assert "GB free" in found["disk (project)"].text
    assert "stylereel init" in found["project"].text
