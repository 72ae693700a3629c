"""The command line: help with examples, clear refusals, exit codes, and quick answers."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli.main import app
from stylegan_core.config import load_params
from tasks.project.params_file import render_params
from tasks.shared.versioning import VersioningError

COMMANDS = [command.name for command in app.registered_commands]


@pytest.fixture(autouse=True)
def _outside_of_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom flows.cli.main import app\nfrom typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, ['--help'])\nassert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'prefect', 'mlflow', 'dvc', 'cv2', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"stylereel {command}" in result.output


@pytest.mark.parametrize("command", ["prepare", "train", "evaluate", "pipeline", "sync", "where"])
def test_outside_of_a_project_nothing_is_done(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, [command])
    assert result.exit_code == 2
    assert "stylereel init" in capfd.readouterr().err + result.output


def test_an_unknown_recipe_names_the_known(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["recipes", "pix3pix"])
    assert result.exit_code == 2
    assert "keyframe" in capfd.readouterr().err + result.output


def test_recipes_lists_needs_and_papers() -> None:
    result = CliRunner().invoke(app, ["recipes"])
    assert "keyframe     before/after pairs" in result.output
    assert "attributes   one folder and labels" in result.output
    assert "swap         two folders, no pairs (+ references)" in result.output
    assert "two_cores, one_gpu, paper" in result.output
    assert "arXiv 2007.15651" in result.output


def test_a_recipe_shows_its_settings() -> None:
    result = CliRunner().invoke(app, ["recipes", "keyframe"])
    assert "budget_steps:" in result.output
    result = CliRunner().invoke(app, ["recipes", "cut"])
    assert "fast: true" in result.output, "two_cores is the default"
    result = CliRunner().invoke(app, ["recipes", "cut", "--preset", "paper"])
    assert "fast: false" in result.output


def test_a_preset_is_written_into_a_project(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(render_params({"train.keyframe.crop_px": 96}))
    result = CliRunner().invoke(app, ["recipes", "cut", "--preset", "one_gpu", "--write"])
    assert result.exit_code == 0
    assert "two folders, no pairs" in result.output
    train = load_params(tmp_path / "params.yaml").train_section
    assert train["recipe"] == "cut"
    assert train["keyframe"]["crop_px"] == 96


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cut", "--preset", "tpu"], "two_cores, one_gpu, paper"),
        (["--write"], "name a recipe"),
        (["cut", "--write"], "stylereel init"),
    ],
)
def test_presets_that_cannot_be_had(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["recipes", *arguments])
    assert result.exit_code == 2
    assert words in capfd.readouterr().err + result.output


def test_whence_of_an_unknown_id_lists_valid_arguments(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["whence", "?"])
    assert result.exit_code == 2
    assert "a stylized frame" in capfd.readouterr().err + result.output


@pytest.mark.parametrize("options", [["--strength", "0.5"], ["--limit", "3"], ["--model", "all", "--no-preview"]])
def test_options_of_stylize_need_an_input(options: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["stylize", *options])
    assert result.exit_code == 2
    assert f"{options[0]}" in (printed := capfd.readouterr().err + result.output)
    assert "params.yaml" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style-image", "a.png"], "takes no style images"),
        (["--edit", "smiling"], "takes no edits"),
        (["--direction", "backward"], "takes no direction"),
        (["--direction", "up"], "not one of 'forward'"),
        (["--outside-regions", "style"], "there are none"),
        (["--elsewhere", "style"], "there are none"),
        (["--regions", "none.yaml"], "cannot be read"),
    ],
)
def test_directions_that_do_not_fit_are_refused(
    options: list[str], message: str, tmp_path: Path, tiny_model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "in/a.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    result = CliRunner().invoke(app, ["stylize", "in", "out", "--model", str(tiny_model_folder), *options])
    assert result.exit_code == 2
    assert message in " ".join((capfd.readouterr().err + result.output).split())
    assert not (tmp_path / "out").exists()


def test_export_refuses_what_it_cannot_do(tiny_model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["nowhere", "a.onnx"], "nowhere is not a model folder"),
        ([str(tiny_model_folder), "a.onnx", "--direction", "backward"], "supports direction forward only"),
        ([str(tiny_model_folder), "a.pt"], "must end in .onnx"),
    ):
        result = CliRunner().invoke(app, ["export", *options])
        assert result.exit_code == 2
        assert message in " ".join((capfd.readouterr().err + result.output).split())
    assert not list(Path().glob("a.*"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose inputs need no sync."""
    (tmp_path / "params.yaml").write_text("{}")
    monkeypatch.setattr("tasks.project.sync.sync", lambda root: [])
    return tmp_path


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_stages_exit_code_and_reason_pass_through_dvc(
    project: Path, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(root: Path, arguments: list[str]) -> None:
        left = {"stage": "prepare", "code": code, "message": "the reason"}
        (root / ".stylereel" / "last-exit.json").write_text(json.dumps(left))
        raise VersioningError("`dvc repro train` failed with exit code 255")

    (project / ".stylereel").mkdir()
    monkeypatch.setattr("tasks.shared.versioning.run_dvc", fail)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == code
    assert "error: prepare: the reason" in capfd.readouterr().err + result.output


def test_an_older_stages_end_does_not_explain_dvcs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(root: Path, arguments: list[str]) -> None:
        raise VersioningError("`dvc repro train` failed with exit code 255")

    (project / ".stylereel").mkdir()
    (project / ".stylereel" / "last-exit.json").write_text('{"stage": "train", "code": 3, "message": "old"}')
    monkeypatch.setattr("tasks.shared.versioning.run_dvc", fail)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 1
    assert "exit code 255" in capfd.readouterr().err + result.output


@pytest.mark.parametrize("failed", [[], [{"path": "shot.0002.png", "reason": "it is empty"}]])
def test_stylize_of_the_project_tells_of_failed_frames(
    project: Path, failed: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    report = project / "out/stylized/report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"sea": {"failed": failed}}))
    monkeypatch.setattr("tasks.shared.versioning.run_dvc", lambda root, arguments: None)
    result = CliRunner().invoke(app, ["stylize"])
    assert result.exit_code == (1 if failed else 0)
    assert ("sea: shot.0002.png: it is empty" in capfd.readouterr().err + result.output) == bool(failed)


def test_init_prints_the_next_steps_for_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "stylereel"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr("tasks.project.init_project.init_project", lambda folder: folder)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    for path, command in (("/nowhere", str(program)), (str(program.parent), "stylereel")):
        monkeypatch.setenv("PATH", path)
        result = CliRunner().invoke(app, ["init", "film"])
        assert f"cd film && {command} stylize" in result.output


def test_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"stylereel {importlib.metadata.version('stylereel')}\n"


def test_sync_names_outdated_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.project.sync.sync", lambda root: [])
    (tmp_path / "params.yaml").write_text("train:\n  recipe: keyframe\n  keyframe: {l1_weight: 20.0, mixing_taps: 9}\n")
    subprocess.run(["git", "init", "-q"], check=True)
    result = CliRunner().invoke(app, ["sync"])
    assert result.exit_code == 0
    assert "train.keyframe.l1_weight: 20.0 was the default until 0.1.0, now 5.0" in result.output
    assert "mixing_taps" not in result.output
