import json
import os
import signal
import threading
from pathlib import Path

import cv2
import filelock
import numpy as np
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.pipeline import stylizer
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.settings import SettingsError
from tasks.shared.errors import InputsFailedError, StoppedError, UsageError
from tasks.stylize.open_job import open_job
from tasks.stylize.stylize import plan_request, stylize_directory
from tasks.stylize.work import work_on


@pytest.fixture
def plates(tmp_path, noise_picture):
    folder = tmp_path / "plates"
    folder.mkdir()
    for number in range(1, 8):
        cv2.imwrite(str(folder / f"shot.{number:04d}.png"), noise_picture(number))
    return folder


@pytest.fixture
def request_of(plates, tiny_model_folder, tmp_path):
    def make(**options):
        defaults = {"source": plates, "output": tmp_path / "out", "model": tiny_model_folder, "chunk_frames": 3}
        return Request.of(**{**defaults, **options})

    return make


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if ".stylereel" not in path.parts)


def test_a_folder_in_a_folder_out(request_of, plates, tmp_path):
    seen = []
    report = stylize_directory(request_of(), LocalRunner(), progress=seen.append)
    assert (report.made, report.skipped, report.failed, report.exit_code) == (7, 0, (), 0)
    assert names(tmp_path / "out") == names(plates)
    assert report.preview == tmp_path / "out/.stylereel/preview.mp4"
    assert report.preview.is_file()
    assert len(seen) == 7
    report.raise_if_failed()
    assert json.loads(json.dumps(report.as_dict()))["made"] == 7
    again = stylize_directory(request_of(), LocalRunner())
    assert (again.made, again.skipped) == (0, 7)


def test_a_preview_of_a_few_frames_redoes_nothing(request_of):
    assert stylize_directory(request_of(frames="1-7x3"), LocalRunner(), preview=None).made == 3
    assert stylize_directory(request_of(every=2, limit=3), LocalRunner(), preview=None).made == 2  # 3 and 5; 1 is done
    assert stylize_directory(request_of(), LocalRunner(), preview=None).made == 2


def test_a_dry_run_writes_nothing(request_of, tmp_path):
    plan, _ = plan_request(request_of())
    assert len(frames_to_make(plan.job)) == 7
    assert not (tmp_path / "out").exists()


def test_plan_and_work_are_halves_of_it(request_of, tmp_path):
    file = write_plan(plan_request(request_of())[0])
    job, model = open_job(file)
    assert work_on(Plan(job), model, LocalRunner()).made == 7


def test_failed_inputs_are_named_at_the_end_and_all_others_done(request_of, plates, tmp_path):
    (plates / "shot.0002.png").write_bytes(b"")
    (plates / "shot.0005.png").write_text("text")
    report = stylize_directory(request_of(), LocalRunner())
    assert report.exit_code == 1
    assert report.made == 5
    with pytest.raises(InputsFailedError, match=r"2 of 7 inputs failed") as caught:
        report.raise_if_failed()
    for name in ("shot.0002.png", "shot.0005.png"):
        assert f"{plates / name}: " in str(caught.value)
        assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"source": "missing"},
        {"model": "missing"},
        {"frames": "100-120"},
        {"frames": "x"},
        {"source_space": "ACEScgg"},
        {"limit": 0},
        {"masks": Path("missing")},
        {"device": "cuda:7"},
        {"device": "gpu"},
    ],
)
def test_wrong_calls_do_nothing(request_of, tmp_path, options):
    with pytest.raises(UsageError):
        stylize_directory(request_of(**options), LocalRunner())
    assert not (tmp_path / "out").exists()


def test_a_setting_out_of_range_is_named(request_of):
    with pytest.raises(SettingsError, match=r"stylize\.strength"):
        request_of(strength=5.0)


def test_an_output_that_touches_the_input_is_refused(request_of, plates):
    for output in (plates, plates / "out", plates.parent):
        with pytest.raises(UsageError):
            stylize_directory(request_of(output=output), LocalRunner())


def test_files_of_the_user_are_not_overwritten_without_the_option(request_of, tmp_path):
    own = tmp_path / "out/shot.0002.png"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"shot\.0002\.png: choose another folder, or pass --overwrite"):
        stylize_directory(request_of(), LocalRunner())
    assert own.read_bytes() == b"mine"
    assert names(tmp_path / "out") == ["shot.0002.png"]
    assert stylize_directory(request_of(overwrite=True), LocalRunner()).made == 7
    assert stylize_directory(request_of(strength=0.5), LocalRunner()).made == 7  # they are ours now


def test_what_a_kill_left_without_a_record_is_made_again(request_of, tmp_path):
    stylize_directory(request_of(), LocalRunner())
    for records in (tmp_path / "out/.stylereel").glob("records-*"):
        records.unlink()
    assert stylize_directory(request_of(strength=0.5), LocalRunner()).made == 7


def test_a_damaged_model_is_refused(request_of, tiny_model_folder, tmp_path):
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(tiny_model_folder, copy)
    weights = copy / "last.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UsageError, match="checksum"):
        stylize_directory(request_of(model=copy), LocalRunner())


def test_a_second_run_on_the_same_output_is_refused(request_of, tmp_path):
    (tmp_path / "out/.stylereel").mkdir(parents=True)
    with filelock.FileLock(tmp_path / "out/.stylereel/lock"), pytest.raises(UsageError, match="another run works"):
        stylize_directory(request_of(), LocalRunner())
    assert stylize_directory(request_of(), LocalRunner()).made == 7


def test_a_signal_stops_between_frames_and_a_rerun_finishes(request_of, monkeypatch):
    """The last frames are read once the signal was heard, however fast this machine is."""
    heard, stop, decode = threading.Event(), stylizer.Stylizer.stop, FrameDecoder.decode

    def stop_and_tell(self, reason):
        stop(self, reason)
        heard.set()

    def decode_late(decoder, task):
        assert "0007" not in task.input or heard.wait(60)
        return decode(decoder, task)

    def interrupt(progress):
        if progress.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(stylizer.Stylizer, "stop", stop_and_tell)
    monkeypatch.setattr(FrameDecoder, "decode", decode_late)
    with pytest.raises(StoppedError, match=r"SIGTERM; \d of 7 frames are done"):
        stylize_directory(request_of(chunk_frames=7), LocalRunner(), progress=interrupt)
    assert threading.active_count() < 20
    finished = stylize_directory(request_of(), LocalRunner())
    assert finished.made + finished.skipped == 7
    assert finished.skipped >= 2


def test_strength_zero_gives_the_source_back(request_of, plates, tmp_path):
    stylize_directory(request_of(strength=0.0), LocalRunner())
    for path in plates.iterdir():
        assert np.array_equal(cv2.imread(str(path)), cv2.imread(str(tmp_path / "out" / path.name)))


def test_regions_of_a_file(request_of, plates, tiny_model_folder, tmp_path):
    """Paths in the file are relative to it; no other model is needed where no pixel is the job's."""
    shots = tmp_path / "shots"
    (shots / "masks").mkdir(parents=True)
    for number in range(1, 7):
        mask = np.zeros((40, 56), np.uint8)
        mask[:, :20] = 255
        cv2.imwrite(str(shots / "masks" / f"sky.{number}.png"), mask)
    (shots / "style").symlink_to(tiny_model_folder)
    (shots / "regions.yaml").write_text("- where: masks\n  model: style\n")
    wish = {"regions": shots / "regions.yaml", "model": None, "models": tmp_path / "none"}
    report = stylize_directory(request_of(**wish), LocalRunner())
    assert (report.made, [failure.path.name for failure in report.failed]) == (6, ["shot.0007.png"])
    source, made = (cv2.imread(str(folder / "shot.0003.png")).astype(int) for folder in (plates, tmp_path / "out"))
    assert np.array_equal(source[:, 20:], made[:, 20:])
    assert np.abs(source[:, :20] - made[:, :20]).mean() > 1
    again = stylize_directory(request_of(**wish), LocalRunner())
    assert (again.made, again.skipped) == (0, 6)
    (shots / "regions.yaml").write_text("- where: masks\n  model: style\n  missing_mask: nowhere\n")
    assert stylize_directory(request_of(**wish), LocalRunner()).made == 7
    with pytest.raises(UsageError, match="train one, or name a model"):
        stylize_directory(request_of(**wish, outside_regions="style"), LocalRunner())
    (shots / "regions.yaml").write_text("- where: none\n  model: style\n")
    with pytest.raises(UsageError, match="region 1, masks: there is no folder"):
        stylize_directory(request_of(**wish), LocalRunner())


def test_a_job_with_regions_is_planned_and_worked_on_apart(request_of, plates, tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((40, 56), 255, np.uint8))
    (tmp_path / "regions.yaml").write_text("- where: mask.png\n  strength: 0.5\n  feather_px: 2\n")
    job, model = open_job(write_plan(plan_request(request_of(regions=tmp_path / "regions.yaml"))[0]))
    assert work_on(Plan(job), model, LocalRunner()).made == 7
    half = {path.name: cv2.imread(str(path)).astype(int) for path in (tmp_path / "out").glob("*.png")}
    plain = request_of(output=tmp_path / "plain", strength=0.5)
    stylize_directory(plain, LocalRunner())
    for name, picture in half.items():
        assert np.abs(picture - cv2.imread(str(tmp_path / "plain" / name))).max() <= 1


@pytest.fixture
def editor(tmp_path):
    """A tiny model of two attributes with random weights."""
    import torch

    from stylegan_core.recipes.attributes import Config, Recipe
    from stylegan_core.recipes.model import save_model

    config = Config(channels=4, blocks=1, attributes=("Smiling", "Eyeglasses"), adversarial_weight=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = {k: v + 0.05 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        tmp_path / "editor", recipe="attributes", config=config, working_space="srgb", sample_type="uint8", steps=1,
        images_seen=8, chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
    return tmp_path / "editor"


def test_edits_reach_the_recipe_with_their_strength(request_of, editor, plates, tmp_path):
    import torch

    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import load_model

    def made(**wish):
        asked = request_of(model=editor, precision="fp32", statistics="picture", **wish)
        assert stylize_directory(asked, LocalRunner()).made == 7
        return cv2.cvtColor(cv2.imread(str(tmp_path / "out/shot.0002.png")), cv2.COLOR_BGR2RGB).astype(int)

    source = cv2.cvtColor(cv2.imread(str(plates / "shot.0002.png")), cv2.COLOR_BGR2RGB)
    content = torch.from_numpy(source).permute(2, 0, 1)[None] / 127.5 - 1
    recipe = load_model(editor).recipe
    for edit, labels, strength in (("smiling, no glasses", [1.0, -1.0], 1.0), ("smiling=0.5", [0.5, 0.0], 1.5)):
        with torch.no_grad():
            asked = Conditions(labels=torch.tensor([labels]), strength=strength)
            expected = (recipe.translate(content, asked)[0].permute(1, 2, 0).numpy() + 1) * 127.5
        result = made(edit=edit, strength=strength)
        assert np.abs(result - np.clip(expected, 0, 255)).max() <= 1
        assert np.abs(result - source.astype(int)).mean() > 1
    assert np.array_equal(made(edit="smiling", strength=0.0), source)
    with pytest.raises(UsageError, match="Smiling"):
        made(edit="beard")


def test_the_projects_words_count_in_its_subfolders_too(editor, plates, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from flows.cli.main import app
    from stylegan_core.inference.job.spec import read_job

    (tmp_path / "params.yaml").write_text("")
    (tmp_path / "vocabulary.yaml").write_text("attributes:\n  smiling:\n    words: [beaming]\n")
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((40, 56), 255, np.uint8))
    (tmp_path / "regions.yaml").write_text("- where: mask.png\n  edit: not beaming\n")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    wishes = ["--edit", "beaming", "--regions", "../regions.yaml", "--elsewhere", "style"]
    result = CliRunner().invoke(app, ["plan", str(plates), str(tmp_path / "out"), "--model", str(editor), *wishes])
    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "out/.stylereel").glob("job-*.json")
    settings = read_job(file).settings
    assert settings.directions.edit == {"Smiling": 1.0}
    assert settings.regions[0].directions.edit == {"Smiling": -1.0}
