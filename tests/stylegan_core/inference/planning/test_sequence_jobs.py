"""Jobs over sequences with gaps, curves and source colours, through the planner and the stylizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stylegan_core.frames.colour.convert import REC709_LUMA
from stylegan_core.frames.colour.srgb import srgb_to_linear
from stylegan_core.inference.job.report import ChunkReport
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.recipes.model import Model
from tests.stylegan_core.inference.planning.requests import plan_selected


@pytest.fixture
def plates(tmp_path: Path, noise_picture: Callable[..., Any]) -> Path:
    """Frames 1 to 6 without 3 and 4, 16 bit."""
    folder = tmp_path / "plates"
    folder.mkdir()
    for number in (1, 2, 5, 6):
        cv2.imwrite(str(folder / f"p.{number:04d}.png"), noise_picture(number).astype(np.uint16) * 257)
    return folder


def job_of(
    plates: Path, model: Model, output: str | Path = "", render: dict[str, Any] | None = None, **asked: Any
) -> Job:
    options = {"precision": "fp32", **(render or {}), **asked}
    return plan_selected(model, f"{plates}/p.####.png", output or plates.parent / "out", **options).job


def run(job: Job, model: Model) -> ChunkReport:
    with Stylizer(job, model) as work:
        return work.chunk(0)


def pixels(path: Path) -> Any:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.int64)


def test_a_held_frame_is_its_neighbours_result(plates: Path, tiny_model: Model) -> None:
    job = job_of(plates, tiny_model, missing="hold")
    assert len(run(job, tiny_model).made) == 6
    out = [pixels(job.output_folder / f"p.{number:04d}.png") for number in range(1, 7)]
    assert np.array_equal(out[2], out[1])
    assert np.array_equal(out[3], out[1])
    assert not np.array_equal(out[1], pixels(plates / "p.0002.png"))
    assert run(job, tiny_model).skipped == 6


def test_a_black_frame_has_its_neighbours_form(plates: Path, tiny_model: Model) -> None:
    job = job_of(plates, tiny_model, missing="black")
    run(job, tiny_model)
    black = cv2.imread(str(job.output_folder / "p.0003.png"), cv2.IMREAD_UNCHANGED)
    assert black.dtype == np.uint16
    assert black.shape == (40, 56, 3)
    assert not black.any()
    # The late frame comes: only it is made, and the black one after it, which has the form of what is before it now.
    (plates / "p.0003.png").write_bytes((plates / "p.0005.png").read_bytes())
    later = run(job_of(plates, tiny_model, missing="black"), tiny_model)
    assert later.made == ("p.0003.png", "p.0004.png")
    assert later.skipped == 4


def test_outputs_of_another_name_and_padding(plates: Path, tiny_model: Model) -> None:
    job = job_of(plates, tiny_model, plates.parent / "out" / "styl_%06d.png", missing="skip")
    assert run(job, tiny_model).made == tuple(f"styl_{number:06d}.png" for number in (1, 2, 5, 6))


def test_a_curve_of_strength_moves_each_frame_and_redoes_only_what_changed(plates: Path, tiny_model: Model) -> None:
    curve = plates.parent / "curve.csv"
    curve.write_text("frame,strength\n1,0\n5,1\n6,0.25\n")
    whole = job_of(plates, tiny_model, plates.parent / "whole", missing="skip")
    run(whole, tiny_model)
    job = job_of(plates, tiny_model, missing="skip", render={"curve": curve})
    run(job, tiny_model)
    for number, strength in ((1, 0), (2, 0.25), (5, 1), (6, 0.25)):
        name = f"p.{number:04d}.png"
        source, all_of_it = pixels(plates / name), pixels(whole.output_folder / name)
        got = pixels(job.output_folder / name)
        if strength == 0:
            assert np.array_equal(got, source)
        inside = (all_of_it > 0) & (all_of_it < 65535)  # not clipped
        assert np.abs(got - (source + strength * (all_of_it - source)))[inside].max() <= 1
    curve.write_text("frame,strength\n1,0\n5,1\n6,0.75\n")
    again = run(job_of(plates, tiny_model, missing="skip", render={"curve": curve}), tiny_model)
    assert again.made == ("p.0006.png",)
    assert again.skipped == 3


def test_a_frame_without_a_mask_is_left_alone_though_a_curve_rises(plates: Path, tiny_model: Model) -> None:
    curve = plates.parent / "curve.csv"
    curve.write_text("frame,strength\n1,1\n")
    masks = plates.parent / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "m.1.png"), np.full((40, 56), 255, np.uint8))
    asked = {"frames": "1-2", "masks": masks, "missing_mask": "nowhere", "render": {"curve": curve}}
    job = job_of(plates, tiny_model, **asked)
    run(job, tiny_model)
    changed = [(pixels(plates / f.input) != pixels(job.output_folder / f.output)).any() for f in job.frames]
    assert changed == [True, False]


def test_curves_that_do_not_fit_are_refused(plates: Path, tiny_model: Model, tmp_path: Path) -> None:
    curve = plates.parent / "curve.csv"
    curve.write_text("frame,dusk\n1,1\n")
    with pytest.raises(PlanError, match="a column dusk, but the references are none"):
        job_of(plates, tiny_model, missing="skip", render={"curve": curve})
    curve.write_text("frame,strength\n1,1\n")
    cv2.imwrite(str(tmp_path / "portrait.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(PlanError, match=r"requires frame numbers, and portrait\.png has none"):
        plan_selected(tiny_model, tmp_path / "portrait.png", tmp_path / "out", curve=curve)


def test_source_colours_stay_and_strength_0_is_exact(plates: Path, tiny_model: Model) -> None:
    plain = job_of(plates, tiny_model, plates.parent / "plain", missing="skip")
    kept = job_of(plates, tiny_model, missing="skip", render={"keep_source_colour": True})
    assert kept.settings.digest() != plain.settings.digest()
    run(plain, tiny_model)
    run(kept, tiny_model)

    def chromaticity(path: Path) -> Any:
        linear = srgb_to_linear((pixels(path) / 65535).astype(np.float32)) + np.float32(0.001)
        return linear / (linear @ REC709_LUMA)[..., None]

    def moved(job: Job) -> float:
        name = "p.0005.png"
        middle = (pixels(plates / name).min(-1) > 16_000) & (pixels(plates / name).max(-1) < 50_000)
        return float(np.abs(chromaticity(job.output_folder / name) - chromaticity(plates / name))[middle].mean())

    assert moved(kept) < 0.1 * moved(plain)
    assert moved(plain) > 0.05
    still = job_of(
        plates,
        tiny_model,
        plates.parent / "still",
        missing="skip",
        render={"keep_source_colour": True, "strength": 0.0},
    )
    run(still, tiny_model)
    assert np.array_equal(pixels(still.output_folder / "p.0005.png"), pixels(plates / "p.0005.png"))


def test_each_frame_has_a_line_in_the_log(plates: Path, tiny_model: Model) -> None:
    (plates / "p.0005.png").write_bytes(b"no picture")
    job = job_of(plates, tiny_model, missing="hold")
    run(job, tiny_model)
    run(job, tiny_model)
    first, second = sorted(job.state_folder.glob("log-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    lines = {line["frame"]: line for line in map(json.loads, first.read_text().splitlines())}
    assert sorted(lines) == [f"p.{number:04d}.png" for number in range(1, 7)]
    held, failed, made = lines["p.0003.png"], lines["p.0005.png"], lines["p.0001.png"]
    assert (held["missing"], held["input"], held["number"]) == ("hold", "p.0002.png", 2)
    assert failed["status"] == "failed"
    assert "text file" in failed["reason"]
    assert "forward_s" not in failed
    assert made["status"] == "made"
    assert made["model"] == job.model_digest
    assert made["job"] == job.digest[:16]
    assert all(made[f"{part}_s"] > 0 for part in ("decode", "forward", "encode"))
    again = [json.loads(line)["status"] for line in second.read_text().splitlines()]
    assert sorted(again) == ["failed", *["skipped"] * 5]


@pytest.fixture
def mixer(tmp_path: Path) -> Model:
    """A tiny model that takes references."""
    import torch

    from stylegan_core.recipes.model import load_model, save_model
    from stylegan_core.recipes.swap import Config, Recipe
    from tests.tiny import tiny_sizes

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = Config(**tiny_sizes(Config))
        networks = {k: v + 0.05 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        tmp_path / "mixer", recipe="swap", config=config, working_space="srgb", sample_type="uint8", steps=1,
        images_seen=8, chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
    return load_model(tmp_path / "mixer")


def test_a_curve_of_weights_moves_between_references(
    plates: Path, mixer: Model, noise_picture: Callable[..., Any]
) -> None:
    references = []
    for name, seed in (("dusk", 11), ("sea", 23)):
        cv2.imwrite(str(plates.parent / f"{name}.png"), noise_picture(seed, 64, 64))
        references.append(plates.parent / f"{name}.png")
    curve = plates.parent / "curve.csv"
    curve.write_text("frame,strength,dusk,sea\n1,1,1,0\n2,1,0,1\n5,0.5,1,1\n6,0,1,0\n")

    def made(name: str, images: list[Path], **render: Any) -> dict[int, Any]:
        render = {"back_end": "torch", "statistics": "picture", **render}
        styles = tuple(str(path) for path in images)
        job = job_of(plates, mixer, plates.parent / name, render, missing="skip", style_images=styles)
        run(job, mixer)
        return {frame.number or 0: pixels(job.output_path(frame)) for frame in job.frames}

    moved = made("moved", references, curve=curve)
    dusk, sea, both = made("dusk", references[:1]), made("sea", references[1:]), made("both", references, strength=0.5)
    assert np.abs(dusk[2] - sea[2]).max() > 20  # the references differ in their effect
    for number, expected in ((1, dusk[1]), (2, sea[2]), (5, both[5]), (6, pixels(plates / "p.0006.png"))):
        assert np.abs(moved[number] - expected).max() <= 1
