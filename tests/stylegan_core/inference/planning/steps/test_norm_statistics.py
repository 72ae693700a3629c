import dataclasses

import numpy as np
import pytest
import torch

from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.plan import write_plan
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.measure_norm_statistics import measure
from stylegan_core.inference.network.norm_statistics import freeze, read_statistics
from stylegan_core.inference.network.tiling import Tiling
from stylegan_core.inference.network.translate import translate_batch_unit
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.inference.planning.steps.norm_statistics import shots
from stylegan_core.inference.reading import frame_reader
from stylegan_core.inference.render import conditioned_model, renderer
from stylegan_core.recipes.model import load_model, save_model
from tests.stylegan_core.inference.network.frames import Frame
from tests.stylegan_core.inference.network.recipes import uneven
from tests.stylegan_core.inference.planning.requests import plan_frames


def saved(folder, name, **settings):
    recipe = uneven(name, **settings)
    networks = recipe.networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in recipe.inference_networks}
    save_model(
        folder,
        recipe=name,
        config=recipe.config,
        working_space="srgb",
        sample_type="uint8",
        steps=1,
        images_seen=1,
        chosen="last",
        last=inference,
        best=inference,
        networks=networks,
    )
    return load_model(folder)


@pytest.fixture(scope="module")
def normed(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("normed"), "cut")


@pytest.fixture
def plates(tmp_path, noise_picture):
    """Six frames, a cut after the third: dark waves, then bright ones."""
    import cv2

    folder = tmp_path / "plates"
    folder.mkdir()
    for number in range(1, 7):
        picture = noise_picture(0 if number < 4 else 9, 48, 64) // (3 if number < 4 else 1)
        cv2.imwrite(str(folder / f"shot.{number:04d}.png"), np.roll(picture, number, axis=1))
    return folder


def job_for(plates, output, model, frames=None, **render):
    names = sorted(path.name for path in plates.iterdir())
    made = [FrameTask(input=n, output=n, number=int(n.split(".")[1]) if "." in n[:-4] else None) for n in names]
    tasks = made if frames is None else made[:frames]
    plan = plan_frames(model, tasks, plates, output, device="cpu", **({"precision": "fp32"} | render))
    write_plan(plan)
    return plan.job


def cut_before_the_fourth(tmp_path):
    path = tmp_path / "cuts.txt"
    path.write_text("4\n")
    return str(path)


def run(job, model):
    with Stylizer(job, model) as stylizer:
        return stylizer.chunk(0)


def unit_of(path):
    return read_picture(path).pixels.astype(np.float32) / 255


def test_each_shot_is_painted_with_statistics_of_its_own(plates, tmp_path, normed):
    job = job_for(plates, tmp_path / "out", normed, cuts=cut_before_the_fourth(tmp_path))
    names = [frame.statistics for frame in job.frames]
    assert names[:3] == [names[0]] * 3
    assert names[3:] == [names[3]] * 3
    assert names[0] != names[3]
    assert not run(job, normed).failed
    sources = [unit_of(plates / frame.input) for frame in job.frames]
    for shot in (slice(0, 3), slice(3, 6)):
        frozen = freeze(normed.recipe, measure(normed.recipe, [lambda u=u: Frame(u) for u in sources[shot]]))
        expected = translate_batch_unit(frozen, np.stack(sources[shot]))
        for frame, unit in zip(job.frames[shot], expected, strict=True):
            made = unit_of(job.output_path(frame))
            assert np.abs(made - np.clip(unit, 0, 1)).max() < 1.01 / 255
            assert np.abs(made - unit_of(plates / frame.input)).max() > 0.05


def test_what_was_measured_is_used_again_while_its_frames_are_unchanged(plates, tmp_path, normed, monkeypatch):
    job = job_for(plates, tmp_path / "out", normed, frames=2)
    whole = job_for(plates, tmp_path / "out", normed)
    assert {frame.statistics for frame in whole.frames[:3]} == {job.frames[0].statistics}
    assert job.settings_digest()(job.frames[0]) == whole.settings_digest()(whole.frames[0])
    measure = "stylegan_core.inference.planning.steps.norm_statistics.measure"
    monkeypatch.setattr(measure, None)  # nothing is measured again
    assert job_for(plates, tmp_path / "out", normed) == whole
    monkeypatch.undo()
    (plates / "shot.0002.png").write_bytes((plates / "shot.0005.png").read_bytes())
    other = job_for(plates, tmp_path / "out", normed, cuts="none")
    assert other.frames[0].statistics not in {frame.statistics for frame in whole.frames}
    assert len({frame.statistics for frame in other.frames}) == 1


def test_pictures_without_numbers_have_their_own_unless_statistics_is_shot(plates, tmp_path, normed):
    for number, path in enumerate(sorted(plates.iterdir())):
        path.rename(plates / f"{'abcdef'[number]}.png")
    job = job_for(plates, tmp_path / "out", normed)
    assert all(frame.statistics is None for frame in job.frames)
    asked = job_for(plates, tmp_path / "out", normed, statistics="shot")
    assert len({frame.statistics for frame in asked.frames}) == 1
    assert asked.frames[0].statistics


def test_picture_keeps_what_instance_norm_does(plates, tmp_path, normed):
    job = job_for(plates, tmp_path / "out", normed, statistics="picture")
    run(job, normed)
    frame = job.frames[4]
    expected = translate_batch_unit(normed.recipe, unit_of(plates / frame.input)[None])[0]
    assert np.abs(unit_of(job.output_path(frame)) - np.clip(expected, 0, 1)).max() < 1.01 / 255


def test_a_model_without_norm_layers_needs_none_and_its_digests_stay(plates, tmp_path, tiny_model):
    job = job_for(plates, tmp_path / "out", tiny_model)
    assert all(frame.statistics is None for frame in job.frames)
    assert job == job_for(plates, tmp_path / "out", tiny_model, statistics="picture")
    assert [path.name for path in job.state_folder.iterdir()] == [job.file.name]


def test_statistics_of_a_file(plates, tmp_path, normed, tiny_model):
    first = job_for(plates, tmp_path / "out", normed)
    kept = first.statistics_path(first.frames[3])
    job = job_for(plates, tmp_path / "elsewhere", normed, statistics=str(kept))
    assert {frame.statistics for frame in job.frames} == {first.frames[3].statistics}
    assert read_statistics(job.statistics_path(job.frames[0])).digest == read_statistics(kept).digest
    with pytest.raises(PlanError, match="is not a file of norm statistics"):
        job_for(plates, tmp_path / "out", normed, statistics="shots")
    with pytest.raises(PlanError, match="without instance norm"):
        job_for(plates, tmp_path / "out", tiny_model, statistics=str(kept))
    other = saved(tmp_path / "other", "cut", channels=8)
    with pytest.raises(PlanError, match="another model"):
        job_for(plates, tmp_path / "out", other, statistics=str(kept))


def test_lost_statistics_are_an_error_not_other_pixels(plates, tmp_path, normed):
    job = job_for(plates, tmp_path / "out", normed, cuts=cut_before_the_fourth(tmp_path))
    job.statistics_path(job.frames[0]).unlink()
    failed = run(job, normed).failed
    assert len(failed) == 3
    assert all("plan again" in failure.reason for failure in failed)


def test_damaged_frames_are_passed_over(plates, tmp_path, normed):
    (plates / "shot.0002.png").write_bytes(b"")
    job = job_for(plates, tmp_path / "out", normed, cuts="none", statistics_frames=2)
    assert job.frames[0].statistics
    measured = read_statistics(job.statistics_path(job.frames[0])).frames
    assert [*measured] == ["shot.0003.png", "shot.0005.png"]


def test_shots_of_frames():
    def frame(number, shot=0, **more):
        return FrameTask(input=f"{number}", output=f"{number}", number=number, shot=shot, **more)

    alone = FrameTask(input="a", output="a", shot=3)
    given = [frame(1), frame(2), frame(3, 1), alone, frame(None, 2, index=0), frame(None, 2, index=1)]
    assert shots(given) == [(0, 1), (4, 5)]
    assert shots(given, all_frames=True) == [(0, 1), (2,), (3,), (4, 5)]


@pytest.fixture
def small_is_large(monkeypatch):
    """Frames of more than 1000 pixels count as large, and are tiled as finely as can be."""
    monkeypatch.setattr(frame_reader, "MOST_WHOLE_PX", 1000)
    monkeypatch.setattr(conditioned_model, "Tiling", lambda **given: Tiling(most_whole_px=1000, tile_bytes=1, **given))


@pytest.mark.parametrize("suffix", ["png", "tif", "exr"])
@pytest.mark.parametrize("statistics", ["shot", "picture"])
def test_large_frames_in_bands_are_the_frames_that_fit(tmp_path, normed, request, statistics, suffix, noise_picture):
    import OpenImageIO as oiio  # noqa: N813

    plates = tmp_path / "plates"
    plates.mkdir()
    for number in (1, 2):
        pixels = noise_picture(number, 260, 150, 4).astype(np.float32) / 255
        kind = {"png": "uint16", "tif": "uint16", "exr": "half"}[suffix]
        buffer = oiio.ImageBuf(pixels)
        buffer.write(str(plates / f"shot.{number:04d}.{suffix}"), kind)
    masks = tmp_path / "masks"
    masks.mkdir()
    whole = job_for(plates, tmp_path / "whole", normed, statistics=statistics, strength=0.7)
    assert not run(whole, normed).failed
    request.getfixturevalue("small_is_large")
    banded = job_for(plates, tmp_path / "banded", normed, statistics=statistics, strength=0.7)
    report = run(banded, normed)
    assert not report.failed, report.failed
    for frame in whole.frames:
        expected, made = (read_picture(job.output_path(frame)).pixels for job in (whole, banded))
        source = read_picture(plates / frame.input).pixels
        assert made.dtype == expected.dtype
        assert made.shape == expected.shape
        if made.dtype == np.uint16:
            assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1
        else:
            np.testing.assert_allclose(made.astype(np.float32), expected.astype(np.float32), atol=2e-3)
        assert np.array_equal(made[..., 3], source[..., 3])
        assert not np.array_equal(made[..., :3], source[..., :3])


def test_large_frames_at_strength_zero_are_their_sources(plates, tmp_path, normed, small_is_large):
    job = job_for(plates, tmp_path / "out", normed, strength=0.0)
    assert not run(job, normed).failed
    for frame in job.frames:
        assert np.array_equal(read_picture(job.output_path(frame)).pixels, read_picture(plates / frame.input).pixels)


def test_approximate_tiles_are_recorded_only_where_tiles_are_not_exact(plates, tmp_path, normed):
    swap = saved(tmp_path / "swap", "swap")
    assert job_for(plates, tmp_path / "out", swap, tiles="approximate").settings.tiles == "approximate"
    assert job_for(plates, tmp_path / "out", swap).settings.tiles == "exact"
    assert job_for(plates, tmp_path / "out", normed, tiles="approximate").settings.tiles == "exact"
    own = job_for(plates, tmp_path / "out", normed, tiles="approximate", statistics="picture")
    assert own.settings.tiles == "approximate"
    conditioned = renderer.FrameRenderer(own, dataclasses.replace(normed))._bank.of_frame(0, own.frames[0])
    assert conditioned._tiling.approximate
    torch.testing.assert_close(
        conditioned._recipe.networks["generator"].stem[0].weight, normed.recipe.networks["generator"].stem[0].weight
    )
