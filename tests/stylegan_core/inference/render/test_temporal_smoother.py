"""A blend over windows, from the request to the files: chunks, previews and cuts."""

import os

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, coffee

from stylegan_core.inference.job.plan import write_plan
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.pipeline.stylizer import Stylizer
from tests.stylegan_core.inference.planning.requests import plan_selected

FRAMES, CUT = 12, 8


@pytest.fixture
def film(tmp_path):
    """A noisy pan over one photograph and, from frame 1008 on, over another."""
    (tmp_path / "in").mkdir()
    for number in range(FRAMES):
        source = coffee() if number < CUT else astronaut()
        plate = source[100:164, 100 + 2 * number : 196 + 2 * number].astype(np.float64)
        plate += np.random.default_rng(number).normal(0, 4, plate.shape)
        write(tmp_path, number, plate)
    return tmp_path


def write(folder, number, rgb):
    pixels = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(folder / f"in/sh.{1000 + number}.png"), pixels[..., ::-1])


def plan(folder, model, output="out", blend_frames=2, **asked):
    options = {"missing": "skip", "device": "cpu", "precision": "fp32", "blend_frames": blend_frames, **asked}
    planned = plan_selected(model, folder / "in/sh.####.png", folder / output, **options)
    write_plan(planned)
    return planned.job


def made(job, model):
    with Stylizer(job, model) as work:
        reports = [work.chunk(index) for index in range(len(job.chunks()))]
    assert not [failure for report in reports for failure in report.failed]
    return {name: (job.output_folder / name).read_bytes() for report in reports for name in report.made}


def offsets(frame):
    return [neighbour.offset for neighbour in frame.window]


def test_windows_end_where_shots_and_films_end(film, tiny_model):
    job = plan(film, tiny_model)
    assert [frame.shot for frame in job.frames] == [0] * CUT + [1] * (FRAMES - CUT)
    windows = [offsets(frame) for frame in job.frames]
    assert windows[0] == [1, 2]
    assert windows[1] == [-1, 1, 2]
    assert windows[4] == [-2, -1, 1, 2]
    assert windows[CUT - 1] == [-2, -1]
    assert windows[CUT] == [1, 2]
    assert job.frames[4].window[0].input == "sh.1002.png"
    assert not any(frame.window for frame in plan(film, tiny_model, blend_frames=0).frames)
    assert offsets(plan(film, tiny_model, cuts="none").frames[CUT]) == [-2, -1, 1, 2]
    (film / "cuts.txt").write_text("1004\n")
    assert offsets(plan(film, tiny_model, cuts=str(film / "cuts.txt")).frames[4]) == [1, 2]
    events = "001 A V C 00:00:00:00 00:00:01:00 {} {}\n"
    edl = events.format("01:00:00:00", "01:00:00:05") + events.format("01:00:00:05", "01:00:01:00")
    edl += events.format("01:00:01:00", "01:00:02:00")
    (film / "reel.edl").write_text(edl)
    by_rate = {rate: plan(film, tiny_model, cuts=f"{film}/reel.edl{rate}") for rate in ("", "@8")}
    assert [frame.shot for frame in by_rate[""].frames] == [0] * 5 + [1] * 7
    assert [frame.shot for frame in by_rate["@8"].frames] == [0] * 5 + [1] * 3 + [2] * 4


def test_a_missing_list_of_cuts_is_refused_even_if_nothing_depends_on_it(film, tiny_model):
    with pytest.raises(PlanError, match=r"the cut list .* does not exist"):
        plan(film, tiny_model, blend_frames=0, cuts="missing.edl")


def test_a_missing_frame_is_not_part_of_windows(film, tiny_model):
    (film / "in/sh.1003.png").unlink()
    job = plan(film, tiny_model)
    assert offsets(job.frames[3]) == [-2, 1, 2]
    assert job.frames[3].input == "sh.1004.png"


def test_results_do_not_depend_on_chunks(film, tiny_model):
    whole = made(plan(film, tiny_model), tiny_model)
    assert len(whole) == FRAMES
    assert made(plan(film, tiny_model, "small", chunk_frames=3), tiny_model) == whole
    single = made(plan(film, tiny_model, "preview", frames="1005,1009"), tiny_model)
    assert single == {name: whole[name] for name in ("sh.1005.png", "sh.1009.png")}
    plain = made(plan(film, tiny_model, "plain", blend_frames=0), tiny_model)
    assert all(plain[name] != whole[name] for name in whole)
    lone = made(plan(film, tiny_model, "weightless", blend_weight=0.0), tiny_model)
    assert lone == plain


def test_strength_zero_is_exact_with_windows(film, tiny_model):
    for name, content in made(plan(film, tiny_model, strength=0.0), tiny_model).items():
        result = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(result, cv2.imread(str(film / "in" / name), cv2.IMREAD_UNCHANGED))


def test_a_changed_neighbour_is_noticed(film, tiny_model):
    job = plan(film, tiny_model)
    made(job, tiny_model)
    assert frames_to_make(job) == []
    assert frames_to_make(job, checksum=True) == []
    assert set(made(plan(film, tiny_model), tiny_model)) == set()
    write(film, 4, coffee()[101:165, 108:204])
    again = plan(film, tiny_model)
    touched = {f"sh.{number}.png" for number in range(1002, 1007)}
    assert set(frames_to_make(again)) == touched
    assert set(made(again, tiny_model)) == touched
    assert {"sh.1000.png", "sh.1011.png"} <= set(frames_to_make(plan(film, tiny_model, blend_frames=1)))


def test_a_damaged_neighbour_is_excluded_and_noticed_when_it_is_repaired(film, tiny_model):
    path = film / "in/sh.1004.png"
    good = path.read_bytes()
    path.write_bytes(good[:500])
    job = plan(film, tiny_model)
    with Stylizer(job, tiny_model) as work:
        report = work.chunk(0)
    assert [failure.path.name for failure in report.failed] == ["sh.1004.png"]
    assert len(report.made) == FRAMES - 1
    assert frames_to_make(job) == ["sh.1004.png"]
    path.write_bytes(good)
    os.utime(path)
    assert set(made(plan(film, tiny_model), tiny_model)) == {f"sh.{number}.png" for number in range(1002, 1007)}
    whole = made(plan(film, tiny_model, "other"), tiny_model)
    assert all((film / "out" / name).read_bytes() == content for name, content in whole.items())


def test_cuts_are_detected_once(film, tiny_model, monkeypatch):
    first = plan(film, tiny_model)
    find_cuts = "stylegan_core.inference.planning.steps.shots.find_cuts"
    monkeypatch.setattr(find_cuts, lambda proxies: pytest.fail("decoded again"))
    assert plan(film, tiny_model) == first
    assert not any(frame.shot for frame in plan(film, tiny_model, blend_frames=0).frames)


def test_every_frame_is_read_once(film, tiny_model, monkeypatch):
    from stylegan_core.inference.reading import frame_reader as sources

    job, read = plan(film, tiny_model), []
    true = sources.read_picture
    monkeypatch.setattr(sources, "read_picture", lambda path, **k: read.append(path.name) or true(path, **k))
    made(job, tiny_model)
    assert len(read) == len(set(read)) == FRAMES


def test_pictures_without_numbers_have_no_neighbours(tmp_path, tiny_model, noise_picture):
    (tmp_path / "in").mkdir()
    for seed, name in enumerate("abc"):
        cv2.imwrite(str(tmp_path / f"in/{name}.png"), noise_picture(seed))
    job = plan_selected(tiny_model, tmp_path / "in", tmp_path / "out", device="cpu", blend_frames=2).job
    assert [(frame.shot, frame.window) for frame in job.frames] == [(0, ())] * 3
    assert len(made(job, tiny_model)) == 3
