"""``plan``, ``work --chunk`` and ``verify`` as a farm calls them: exact exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from stylegan_core.inference.job.spec import read_job
from stylegan_core.inference.output.lock import hold_chunk, hold_output


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Calls a command: (exit code, what it printed)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def called(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        printed = result.output + "".join(capfd.readouterr())
        print(printed)
        return result.exit_code, printed

    return called


@pytest.fixture
def plates(tmp_path: Path, noise_picture: Any) -> Path:
    folder = tmp_path / "plates"
    folder.mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / f"shot.{number:04d}.png"), noise_picture(number))
    return folder


@pytest.fixture
def job(call: Any, plates: Path, tiny_model_folder: Path) -> Path:
    code, printed = call("plan", plates, "out", "--model", tiny_model_folder, "--chunk-frames", 2)
    assert code == 0
    assert "chunks 0 to 2" in printed
    return Path(next(line for line in printed.splitlines() if line.endswith(".json")))


def test_a_farm_works_through_a_job(call: Any, job: Path) -> None:
    code, printed = call("verify", "out")
    assert code == 1
    assert printed.count("not made yet") == 5
    assert call("work", "--job", job, "--chunk", 2)[0] == 0
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["shot.0004.png"]
    code, printed = call("work", "--job", job, "--chunk", "0-1", "--json")
    assert code == 0
    assert json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["made"] == 4
    assert call("work", job)[0] == 0
    code, printed = call("verify", "out")
    assert code == 0
    assert "5 frames are as they were written" in printed


def test_a_failed_input_is_named_by_its_chunk_alone(call: Any, job: Path, plates: Path) -> None:
    (plates / "shot.0003.png").write_bytes(b"")
    assert call("work", "--job", job, "--chunk", 0)[0] == 0
    code, printed = call("work", "--job", job, "--chunk", 1)
    assert code == 1
    assert "shot.0003.png: " in printed
    assert call("work", "--job", job, "--chunk", 2)[0] == 0
    code, printed = call("verify", "out")
    assert code == 1
    assert "shot.0003.png: not made yet, or its input failed" in printed


def test_wrong_calls(call: Any, job: Path, plates: Path) -> None:
    for arguments in (
        ("--job", job, "--chunk", 3),
        ("--job", job, "--chunk", "1-x"),
        ("--job", "missing.json"),
        ("--job", plates / "shot.0001.png"),
        (),
        (job, "--job", job),
        (job, "--workers", 2),
        (job, "--runner", "dask", "--address", "tcp://127.0.0.1:1", "--workers", 2),
    ):
        code, printed = call("work", *arguments)
        assert code == 2, printed
    assert not list(Path("out").glob("*.png"))
    assert call("verify", plates)[0] == 2


def test_a_chunk_of_another_process_gives_exit_code_3(call: Any, job: Path) -> None:
    planned = read_job(job)
    with (
        hold_output(planned.state_folder, job=planned.digest),
        hold_chunk(planned.state_folder, planned.digest, 1),
    ):
        code, printed = call("work", "--job", job, "--chunk", 1, "--wait", 0)
        assert code == 3
        assert "chunk 1 is still at work in other processes" in printed
        assert call("work", "--job", job, "--chunk", 2, "--wait", 0)[0] == 0
    with hold_output(planned.state_folder, job="another"):
        code, printed = call("work", "--job", job)
        assert code == 2
        assert "another run works on" in printed
    assert call("work", "--job", job, "--chunk", 1)[0] == 0


def test_verify_names_what_is_wrong(call: Any, job: Path) -> None:
    assert call("work", job)[0] == 0
    Path("out/shot.0000.png").unlink()
    Path("out/shot.0001.png").write_bytes(b"x")
    Path("out/notes.txt").write_text("mine")
    code, printed = call("verify", "out")
    assert code == 1
    assert "2 of 5 frames are missing or differ from their records" in printed
    assert "shot.0000.png: missing" in printed
    assert "shot.0001.png: differs from what was written" in printed
    assert "notes.txt: was not written by stylereel" in printed
    code, printed = call("verify", "out", "--json")
    assert code == 1
    assert json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["whole"] == 3
