import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.config import parse_params
from tasks.shared.errors import InputsFailedError, UsageError
from tasks.stages.prepare import prepare
from tasks.stages.stylize import publish_outputs, stylize_item, total_progress
from tasks.stages.stylize_items import list_items
from tasks.stages.stylize_stores import KEPT_STORES
from tests.stylegan_core.frames.movies import sample_movies as movies
from tests.stylegan_core.inference.guided_shot import save_guided_model


def document(**stylize):
    shots = [{"name": name, "plates": f"{name}/plates", "painted": f"{name}/painted"} for name in ("pier", "quay")]
    return {"prepare": {"source": "shots", "min_side_px": 16}, "shots": shots, "stylize": stylize}


@pytest.fixture
def project(tmp_path, monkeypatch, noise_picture, tiny_model_folder):
    """Two shots of five plates with a painted frame each, prepared, and a model a shot."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    for at, name in enumerate(("pier", "quay")):
        for number in range(1, 6):
            path = Path(name, "plates", f"{name}.{number:04d}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), noise_picture(10 * at + number, 48, 64))
        Path(name, "painted").mkdir()
        cv2.imwrite(f"{name}/painted/p_2.png", noise_picture(50 + at, 48, 64))
        shutil.copytree(tiny_model_folder, f"models/{name}")
    prepare(parse_params(document()), Path("data/prepared"))
    return tmp_path


def run(params, progress=None):
    items = list_items(params, Path("data/prepared"), Path("models"))
    count = total_progress(items, progress)
    reports = [stylize_item(item, LocalRunner(), count) for item in items]
    return items, publish_outputs(params, items, reports, Path("out/stylized"))


def outputs():
    return sorted(path.relative_to("out/stylized").as_posix() for path in Path("out/stylized").rglob("*.*"))


def content():
    return {name: Path("out/stylized", name).read_bytes() for name in outputs()}


def test_every_shot_with_its_model_a_movie_and_a_report(project):
    seen = []
    _, reports = run(parse_params(document(chunk_frames=2)), lambda done, total: seen.append((done, total)))
    frames = [f"{shot}/{shot}.{n:04d}.png" for shot in ("pier", "quay") for n in range(1, 6)]
    assert outputs() == sorted(["pier.mp4", "quay.mp4", "report.json", *frames])
    assert [report.made for report in reports] == [5, 5]
    assert seen[-1] == (10, 10)
    assert sorted(seen) == [(n, 10) for n in range(1, 11)]
    with av.open("out/stylized/pier.mp4") as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 5
    report = json.loads(Path("out/stylized/report.json").read_text())
    assert report["quay"]["frames"] == 5
    assert report["quay"]["failed"] == []
    for name in frames:
        source = cv2.imread(name.replace("/", "/plates/"))
        assert np.abs(cv2.imread(f"out/stylized/{name}").astype(int) - source).mean() > 1


def test_emptied_outputs_come_back_equal_without_work(project):
    params = parse_params(document())
    run(params)
    before = content()
    shutil.rmtree("out")  # as DVC does before a stage
    _, reports = run(params)
    assert [(report.made, report.skipped) for report in reports] == [(0, 5), (0, 5)]
    assert content() == before


def test_one_edited_plate_costs_one_frame(project, noise_picture):
    params = parse_params(document())
    run(params)
    cv2.imwrite("pier/plates/pier.0004.png", noise_picture(99, 48, 64))
    prepare(params, Path("data/prepared"))
    _, reports = run(params)
    assert [report.made for report in reports] == [1, 0]


def test_a_few_bad_plates_are_listed_and_too_many_fail(project):
    params = parse_params(document(max_bad_fraction=0.2))
    Path("pier/plates/pier.0003.png").write_bytes(b"damaged after prepare")
    _, reports = run(params)
    assert "pier/pier.0003.png" not in outputs()
    assert "pier/pier.0004.png" in outputs()
    assert [failure.path.name for failure in reports[0].failed] == ["pier.0003.png"]
    assert json.loads(Path("out/stylized/report.json").read_text())["pier"]["failed"][0]["path"] == "pier.0003.png"
    with pytest.raises(InputsFailedError, match=r"pier\.0003\.png"):
        run(parse_params(document(max_bad_fraction=0.1)))


def test_a_plate_that_prepare_refused_is_named_again(project):
    Path("quay/plates/quay.0005.png").write_bytes(b"no picture")
    given = document(max_bad_fraction=0.5)
    given["prepare"]["max_bad_fraction"] = 0.5
    params = parse_params(given)
    prepare(params, Path("data/prepared"))
    _, reports = run(params)
    assert [failure.path.name for failure in reports[1].failed] == ["quay.0005.png"]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("quay/plates", [f"plates/quay.{n:04d}.png" for n in range(1, 6)]),
        ("quay/plates/quay.2-4####.png", [f"plates/quay.{n:04d}.png" for n in range(2, 5)]),
        ("boat.mkv", [f"boat/boat.{n:04d}.png" for n in range(1, 11)]),
    ],
)
def test_an_input_of_the_settings_goes_through_the_one_model(project, tiny_model_folder, given, made):
    if given == "boat.mkv":
        movies.make_movie(Path(given), "ffv1", "yuv420p")
    shutil.copytree(tiny_model_folder, "models/all")
    params = parse_params(
        {
            "prepare": {
                "source": "folders",
                "content": "pier/plates",
                "style": "quay/plates",
                "min_side_px": 16,
                "test_fraction": 0.4,
            },
            "stylize": {"input": given},
        }
    )
    run(params)
    assert [name for name in outputs() if name.endswith(".png")] == made


def test_test_pictures_of_a_collection(project, tiny_model_folder):
    shutil.copytree(tiny_model_folder, "models/all")
    params = parse_params(
        {
            "prepare": {
                "source": "folders",
                "content": "pier/plates",
                "style": "quay/plates",
                "min_side_px": 16,
                "test_fraction": 0.4,
            }
        }
    )
    prepare(params, Path("data/prepared"))
    run(params)
    made = [name for name in outputs() if name.endswith(".png")]
    assert made
    assert all(name.startswith("test/pier.") for name in made)
    assert len(made) < 5


def test_missing_models_and_data_are_named(project):
    shutil.rmtree("models/quay")
    with pytest.raises(UsageError, match="quay"):
        list_items(parse_params(document()), Path("data/prepared"), Path("models"))
    with pytest.raises(UsageError, match="prepare"):
        list_items(parse_params(document()), Path("nowhere"), Path("models"))


def test_stores_of_old_settings_go(project):
    for strength in (0.1, 0.2, 0.3, 0.4, 0.5):
        items, _ = run(parse_params(document(strength=strength)))
    stores = list(items[0].job.output_folder.parent.iterdir())
    assert len(stores) == KEPT_STORES
    assert items[0].job.output_folder in stores


def test_a_guided_model_gets_the_painted_frames_of_its_shot(project):
    for name in ("pier", "quay"):
        shutil.rmtree(f"models/{name}")
        save_guided_model(Path("models", name))
    items, reports = run(parse_params(document(cuts="none")))
    for item in items:
        paintings = {guide.path for frame in item.job.frames for guide in frame.guides}
        assert paintings == {project / item.name / "painted" / "p_2.png"}
        assert [len(frame.guides) for frame in item.job.frames] == [1] * 5
        assert item.job.frames[1].guides[0].distance == 0
    assert [report.made for report in reports] == [5, 5]
    assert run(parse_params(document(cuts="none")))[1][0].made == 0
    others = list_items(parse_params(document(key_frames="pier/painted")), Path("data/prepared"), Path("models"))
    assert {g.path.parent.parent.name for item in others for frame in item.job.frames for g in frame.guides} == {"pier"}
