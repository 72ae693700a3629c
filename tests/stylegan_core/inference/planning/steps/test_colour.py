"""Colour of whole jobs: spaces are said and pinned, highlights come back, a 10-bit ramp stays smooth in bf16."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from flows.runners.local_runner import LocalRunner
from stylegan_core.frames.base.bit_depth import from_codes, to_codes
from stylegan_core.frames.colour.carry_over import carry_over
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, load_config
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.translate import translate_batch_unit
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.steps.colour import plan_colour
from stylegan_core.inference.reading.colour import check_config
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import load_model, save_model
from tasks.shared.errors import UsageError
from tasks.stylize.stylize import plan_request, stylize_directory
from tests.stylegan_core.inference.planning.requests import plan_frames

RNG = np.random.default_rng(8)
CONFIG = """\
ocio_profile_version: 2
roles: {default: raw, scene_linear: lin, aces_interchange: lin}
displays: {screen: [!<View> {name: plain, colorspace: raw}]}
colorspaces:
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace> {name: lin, encoding: scene-linear}
  - !<ColorSpace>
    name: house_log
    encoding: log
    to_scene_reference: !<LogTransform> {base: 2, direction: inverse}
"""


@pytest.fixture(autouse=True)
def _no_config(monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)


def real_model(folder: Path, working_space: str, ocio: str | None = None) -> Path:
    """The default network with random weights, which change pictures visibly."""
    config = Config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = {k: v + 0.01 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="keyframe", config=config, working_space=working_space, sample_type="half", steps=1,
        images_seen=8, chosen="last", last=inference, best=inference, networks=networks, ocio=ocio,
    )  # fmt: skip
    return folder


def plate(kind: str = "float16") -> Picture:
    light = np.exp2(RNG.normal(-3, 1, (40, 56, 3))).astype(kind)
    light[10:14, 10:14] = 16
    light[0, :3] = [[np.nan] * 3, [np.inf] * 3, [-0.1, 0.2, -0.0]]
    return Picture(light, "exr")


def plan(model, source: Path, output: Path, *frames: str, source_space: str = "auto", **render):
    render = {"precision": "fp32", "back_end": "torch", **render}
    tasks = [FrameTask(input=name, output=name) for name in frames]
    return plan_frames(model, tasks, source, output, source_space=source_space, device="cpu", **render).job


@pytest.mark.parametrize("working_space", ["srgb", "ACEScct", "view:"])
def test_real_models_keep_every_bit_at_strength_0_and_highlights_otherwise(tmp_path, working_space):
    (tmp_path / "in").mkdir()
    ten_bits = Picture(from_codes(RNG.integers(0, 1024, (40, 56, 3)).astype(np.uint16), 10), "dpx", bits=10)
    sixteen = Picture(RNG.integers(0, 65536, (40, 56, 3)).astype(np.uint16), "tiff")
    for name, picture in (("a.1.exr", plate()), ("b.2.dpx", ten_bits), ("c.3.tif", sixteen)):
        write_picture(tmp_path / "in" / name, picture)
    (tmp_path / "masks").mkdir()
    for number in (1, 2, 3):
        write_picture(tmp_path / f"masks/m.{number}.png", Picture(np.zeros((40, 56, 1), np.uint8)))
    model = real_model(tmp_path / "model", working_space)
    common = {"model": model, "precision": "fp32", "back_end": "torch"}

    def results(name: str, **options: object) -> list[np.ndarray]:
        request = Request.of(tmp_path / "in", tmp_path / name, **common, **options)
        report = stylize_directory(request, LocalRunner(), preview=None)
        assert report.made == 3
        assert not report.failed
        return [read_picture(path).pixels for path in sorted((tmp_path / name).glob("?.?.*"))]

    sources = [read_picture(path).pixels for path in sorted((tmp_path / "in").iterdir())]
    still, masked, painted = results("still", strength=0.0), results("masked", masks=tmp_path / "masks"), results("out")
    for source, *same in zip(sources, still, masked, strict=True):
        for result in same:
            assert result.dtype == source.dtype
            assert np.array_equal(result.view(np.uint8), source.view(np.uint8))
    assert all(not np.array_equal(a, b) for a, b in zip(sources, painted, strict=True))
    assert np.isnan(painted[0][0, 0]).all()
    assert np.isinf(painted[0][0, 1]).all()
    assert painted[0][11:13, 11:13].max() > 1


def test_spaces_are_said_aloud_and_settled(tiny_model, tmp_path, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken.exr").write_bytes(b"\x76\x2f\x31\x01")
    write_picture(tmp_path / "in/a.exr", plate())
    with caplog.at_level(logging.INFO, "stylegan_core"):
        plain = plan(tiny_model, tmp_path / "in", tmp_path / "out", "broken.exr", "a.exr")
    assert "a.exr: colours are read as linear Rec.709 (default for untagged floating-point samples)" in caplog.text
    assert plain.settings.ocio is None
    assert plain.settings.output_space == "source"
    caplog.clear()
    with caplog.at_level(logging.INFO, "stylegan_core"):
        job = plan(
            tiny_model, tmp_path / "in", tmp_path / "out", "a.exr", source_space="acescg", output_space="lin_ap0"
        )
    assert "read as ACEScg (as requested)" in caplog.text
    assert "converted to ACES2065-1" in caplog.text
    assert (job.settings.source_space, job.settings.output_space) == ("ACEScg", "ACES2065-1")
    assert job.settings.ocio == load_config(PINNED_CONFIG).digest != plain.settings.ocio
    for wrong in ({"source_space": "ACEScgg"}, {"output_space": "ACEScgg"}, {"ocio": str(tmp_path / "none.ocio")}):
        with pytest.raises(PlanError, match=r"did you mean ACEScg|cannot be read"):
            plan(tiny_model, tmp_path / "in", tmp_path / "out", "a.exr", **wrong)


def test_an_exr_of_logarithmic_codes_is_warned_of(tiny_model, tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "in/a.dpx", Picture(np.full((40, 56, 3), 30000, np.uint16), "dpx"))
    for output, warned in (("a.exr", True), ("a.dpx", False)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "stylegan_core"):
            frame = FrameTask(input="a.dpx", output=output)
            options = {"precision": "fp32", "source_space": "ACEScct", "device": "cpu"}
            plan_frames(tiny_model, [frame], tmp_path / "in", tmp_path / "out", **options)
        assert ("a.exr stays in ACEScct, which its header does not record" in caplog.text) == warned


def test_workers_use_the_config_of_the_plan_or_refuse(tiny_model, tmp_path, monkeypatch, caplog):
    config = tmp_path / "house.ocio"
    config.write_text(CONFIG)
    monkeypatch.setenv("OCIO", str(config))
    model = load_model(real_model(tmp_path / "model", "house_log", ocio="of another config"))
    with caplog.at_level(logging.WARNING, "stylegan_core"):
        job = plan(model, tmp_path, tmp_path / "out", "a.exr")
    assert "of another OpenColorIO config" in caplog.text
    assert job.settings.ocio_config == str(config)
    assert job.settings.working_space == "house_log"
    monkeypatch.delenv("OCIO")  # a worker elsewhere
    check_config(job.settings)
    assert job.settings.colour == ColourContext("house_log", str(config))
    moved = FrameSettings.model_validate({**job.settings.model_dump(), "ocio_config": str(tmp_path / "other.ocio")})
    assert moved.digest() == job.settings.digest()  # where a config lies decides no pixel
    with pytest.raises(PlanError, match="cannot be read"):
        check_config(moved)
    (tmp_path / "other.ocio").write_text(CONFIG.replace("base: 2", "base: 10"))
    with pytest.raises(PlanError, match="plan again"):
        check_config(moved)


def test_a_config_with_untrained_names_is_refused(tiny_model, tmp_path):
    card = tiny_model.card.model_copy(update={"working_space": "house_log"})
    with pytest.raises(PlanError, match="no colour space 'house_log'"):
        plan(replace(tiny_model, card=card), tmp_path, tmp_path / "out", "a.exr")


def test_movies_keep_their_colours(tiny_model_folder, tmp_path):
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "in/a.0001.png", Picture(np.zeros((40, 56, 3), np.uint8)))
    options = {"model": tiny_model_folder, "precision": "fp32", "back_end": "torch", "output_space": "ACEScg"}
    with pytest.raises(UsageError, match="--output-space is not supported for movies"):
        plan_request(Request.of(tmp_path / "in", tmp_path / "out.mov", **options))


def test_results_in_another_space_and_format(tiny_model_folder, tmp_path):
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "in/a.0001.exr", plate())
    options = {"model": tiny_model_folder, "precision": "fp32", "back_end": "torch"}
    request = Request.of(tmp_path / "in", tmp_path / "out", strength=0.0, output_space="ACEScg", **options)
    assert stylize_directory(request, LocalRunner(), preview=None).made == 1
    made = read_picture(tmp_path / "out/a.0001.exr")
    assert made.colour_tags["colorInteropID"] == "lin_ap1_scene"
    assert np.allclose(made.pixels[12, 12], 16, rtol=2e-3)
    # Read again, it is the same light.
    source = read_picture(tmp_path / "in/a.0001.exr")
    assert np.abs(to_working(made, working_space="ACEScct") - to_working(source, working_space="ACEScct")).max() < 2e-3


@pytest.mark.parametrize(("source_space", "working_space"), [("srgb", "srgb"), ("ARRI LogC4", "ACEScct")])
def test_a_ten_bit_ramp_shows_no_new_banding_in_bf16(tmp_path, source_space, working_space):
    recipe = load_model(real_model(tmp_path / "model", working_space)).recipe
    ramp = from_codes(np.tile(np.arange(1024, dtype=np.uint16)[None, :, None], (48, 1, 3)), 10)
    picture = Picture(ramp, "dpx", bits=10)
    spaces = {"source_space": source_space, "working_space": working_space}
    before = to_working(picture, **spaces)
    rows = {}
    for precision in ("fp32", "bf16"):
        after = translate_batch_unit(recipe, before[None], precision=precision, device="cpu")[0]
        rows[precision] = to_codes(carry_over(picture, before, after, **spaces).pixels, 10)[24].astype(int)
    exact, rounded = rows["fp32"], rows["bf16"]
    assert np.abs(exact - ramp[24] // 64).max() > 20  # the network does change it
    assert np.abs(rounded - exact).max() <= 5
    assert np.abs(rounded - exact).mean() < 1
    for channel in range(3):
        one, other = exact[:, channel], rounded[:, channel]
        # A bf16 output would keep less than three quarters of them, in steps of 4 and runs of 4.
        assert len(np.unique(other)) > 0.8 * len(np.unique(one))
        assert np.abs(np.diff(other)).max() <= np.abs(np.diff(one)).max() + 2
        assert longest_run(other) <= longest_run(one) + 2


def longest_run(row: np.ndarray) -> int:
    """Of equal neighbours inside of the range."""
    return max((len(list(run)) for code, run in groupby(row) if 0 < code < 1023), default=0)


def test_a_linear_model_runs_in_fp32_unless_the_precision_is_named(tmp_path, caplog, monkeypatch):
    from stylegan_core.inference.planning import planner

    monkeypatch.setattr(planner, "STEPS", (plan_colour,))
    monkeypatch.setattr(planner, "choose_precision", lambda _, asked, __: "bf16" if asked == "auto" else asked)
    for working_space, expected in (
        ("linear_rec709", "fp32"),
        ("ACEScg", "fp32"),
        ("ACEScct", "bf16"),
        ("srgb", "bf16"),
    ):
        model = load_model(real_model(tmp_path / working_space, working_space))
        job = plan(model, tmp_path, tmp_path / "out", "a.exr", precision="auto")
        assert job.settings.precision == expected
    told = plan(load_model(tmp_path / "linear_rec709"), tmp_path, tmp_path / "out", "a.exr", precision="bf16")
    assert told.settings.precision == "bf16"
