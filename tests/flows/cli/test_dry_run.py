"""The dry run on the command line: exit code 0, words or JSON, and nothing done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.progress import describe_rate
from stylegan_core.inference.job.report import Progress


@pytest.fixture
def call(tmp_path: Path, tiny_model_folder: Path, noise_picture: Callable[..., Any]) -> list[str]:
    (tmp_path / "plates").mkdir()
    for number in (1, 2, 4):
        cv2.imwrite(str(tmp_path / f"plates/p.{number:04d}.png"), noise_picture(number))
    pattern, out = f"{tmp_path}/plates/p.$F4.png", f"{tmp_path}/out/s.%03d.png"
    return ["stylize", pattern, out, "--model", str(tiny_model_folder), "--back-end", "torch", "--precision", "fp32"]


def test_words_and_json_say_the_same_and_nothing_is_done(call: list[str], tmp_path: Path) -> None:
    words = CliRunner().invoke(app, [*call, "--missing", "hold", "--dry-run"])
    assert words.exit_code == 0, words.output
    assert "frames 1-4, missing 3 (1 of 4)" in words.stdout
    assert "4 of 4, in one chunk" in words.stdout
    report = json.loads(CliRunner().invoke(app, [*call, "--missing", "hold", "--dry-run", "--json"]).stdout)
    assert (report["to_make"], report["held_or_black"], report["first"]) == (4, 1, "s.001.png")
    assert not (tmp_path / "out").exists()


def test_a_gap_is_a_wrong_call(call: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 2
    assert "missing 3 (1 of 4)" in capfd.readouterr().err + result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (Progress(1000, 400, 10, 2, 3.2123), "3.21 frames/s, 0:03:07 left, 2 failed"),
        (Progress(9, 9, 0, 0, 0.5), "0.5 frames/s"),
        (Progress(100_000, 0, 0, 0, 0.0), ""),
        (Progress(100_000, 1, 0, 0, 2.0), "2 frames/s, 13:53:20 left"),
    ],
)
def test_speed_in_words(now: Progress, text: str) -> None:
    assert describe_rate(now) == text
