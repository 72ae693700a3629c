import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from flows.evaluate import evaluate_flow
from flows.runners.local_runner import LocalRunner
from stylegan_core.config import parse_params
from stylegan_core.data.manifest import ManifestRow, as_manifest, write_manifest
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from tasks.shared.errors import UsageError
from tasks.stages.evaluate import evaluate
from tasks.stages.figures_files import read_figures

FRAMES, KEY = 5, 3
PARAMS = {"prepare": {"source": "sample"}, "train": {"recipe": "keyframe"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_model_folder):
    """A pan over a photograph with one key frame, and an untrained model."""
    import cv2
    from skimage.data import coffee

    root = tmp_path_factory.mktemp("project")
    photograph, rows, matrices = coffee()[::2, ::2], [], {}
    for frame in range(1, FRAMES + 1):
        x = 40 + 6 * frame
        matrices[str(frame)] = [[1, 0, x], [0, 1, 50]]
        plate = np.ascontiguousarray(photograph[50:98, x : x + 64])
        role = "painted" if frame == KEY else "truth"
        for folder, pixels in (("plates", plate), (role, cv2.medianBlur(plate, 7))):
            path = f"{folder}/{frame:04d}.png"
            write_picture(root / path, Picture(pixels))
            domain = {"plates": "content", "painted": "style", "truth": "truth"}[folder]
            pair = f"sea/{frame}" if frame == KEY else ""
            split = "train" if frame == KEY else "test"
            rows.append(ManifestRow(path, domain=domain, shot="sea", frame=frame, pair=pair, split=split))
    prepared = root / "data" / "prepared"
    write_manifest(as_manifest(rows), prepared / "manifest.csv")
    (root / "motion.json").write_text(json.dumps({"frames": matrices}))
    (prepared / "shots.json").write_text(
        json.dumps({"sea": {"plates": "plates", "painted": "painted", "motion": "motion.json"}})
    )
    (root / "models").mkdir()
    (root / "models" / "all").symlink_to(tiny_model_folder)
    return SimpleNamespace(root=root, prepared=prepared, models=root / "models")


@pytest.fixture(scope="module")
def evaluated(project):
    done = []
    reports = project.root / "reports"
    figures = evaluate(
        parse_params(PARAMS),
        project.prepared,
        project.models,
        reports,
        progress=lambda count, total: done.append((count, total)),
        root=project.root,
    )
    with (reports / "evaluate" / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return SimpleNamespace(figures=figures, rows=rows, reports=reports, done=done)


def test_every_figure_of_the_design_is_there(evaluated):
    truth = [f"truth/{m}" for m in ("psnr_db", "ssim", "mse", "swd", "detail_ratio")]
    expected = {f"{name}{suffix}" for name in truth for suffix in ("", "_unstylized", "_best_filter")}
    expected |= {"content/psnr_db", "content/ssim", "style/swd", "style/swd_unstylized", "style/swd_best_filter"}
    expected |= {f"temporal/warp_error{suffix}" for suffix in ("", "_unstylized", "_truth", "_best_filter")}
    expected |= {f"temporal/e_warp_dis{suffix}" for suffix in ("", "_unstylized", "_truth", "_best_filter")}
    expected |= {"temporal/detail_ratio", "temporal/detail_ratio_truth", "temporal/shift_error"}
    expected |= {"speed/images_per_s", "speed/peak_memory_mb", "truth/unseen_fraction"}
    assert expected <= set(evaluated.figures)
    assert read_figures(evaluated.reports) == evaluated.figures
    assert not [name for name in evaluated.figures if ":" in name]


def test_figures_are_those_of_the_files(project, evaluated):
    def unit(path: Path) -> np.ndarray:
        return read_picture(project.root / path).pixels.astype(np.float64) / 255

    expected = [
        peak_signal_noise_ratio(unit(f"truth/{f:04d}.png"), unit(f"plates/{f:04d}.png"), data_range=1)
        for f in range(1, FRAMES + 1)
        if f != KEY
    ]
    assert evaluated.figures["truth/psnr_db_unstylized"] == pytest.approx(np.mean(expected), abs=1e-3)
    # The truth was painted by a median filter of 7 px, which tuning on the key frame finds.
    assert evaluated.figures["truth/psnr_db_best_filter"] == 100.0
    assert evaluated.figures["truth/swd_best_filter"] == pytest.approx(0.0, abs=1e-7)
    assert 0 < evaluated.figures["temporal/e_warp_dis_unstylized"] < evaluated.figures["temporal/e_warp_dis"]
    # Whole-pixel pans are undone exactly, and a median filter does not flicker.
    assert evaluated.figures["temporal/warp_error_unstylized"] == pytest.approx(0.0, abs=1e-9)
    assert evaluated.figures["truth/unseen_fraction"] == pytest.approx(np.mean([12, 6, 6, 12]) / 64)


def test_frames_have_rows_whose_means_are_the_figures(evaluated):
    assert [int(row["frame"]) for row in evaluated.rows] == [1, 2, 3, 4, 5]
    key = evaluated.rows[KEY - 1]
    assert key["truth/psnr_db"] == ""
    assert key["content/ssim"] == ""
    assert key["temporal/warp_error"] != ""
    assert evaluated.rows[0]["temporal/warp_error"] == ""
    for name in ("truth/swd", "truth/detail_ratio_unstylized", "temporal/warp_error_truth"):
        values = [float(row[name]) for row in evaluated.rows if row[name]]
        assert evaluated.figures[name] == pytest.approx(np.mean(values), rel=1e-4, abs=1e-9)
    assert evaluated.done == [(i, FRAMES) for i in range(1, FRAMES + 1)]


def test_pictures_to_judge_by_eye(evaluated):
    folder = evaluated.reports / "evaluate"
    assert sorted(p.name for p in folder.iterdir()) == ["frames.csv", "sea-grid.png", "sea-panels.png"]
    panels = read_picture(folder / "sea-panels.png").pixels
    assert panels.shape[1] > 4 * 64


def test_threads_and_the_whole_are_the_same(project, evaluated, monkeypatch, tmp_path):
    logged = []
    monkeypatch.setattr("tasks.stages.evaluator.PART_PICTURES", 2)
    monkeypatch.setattr("tasks.shared.tracking.find_run_by_digest", lambda digest: "run-1")
    monkeypatch.setattr("tasks.shared.tracking.log_results", lambda run_id, **what: logged.append((run_id, what)))
    monkeypatch.chdir(project.root)
    figures = evaluate_flow(
        LocalRunner(2), parse_params(PARAMS), Path("data/prepared"), Path("models"), tmp_path / "reports"
    )
    steady = {n: v for n, v in figures.items() if not n.startswith("speed/")}
    assert steady == {n: v for n, v in evaluated.figures.items() if not n.startswith("speed/")}
    for name in ("frames.csv", "sea-grid.png"):
        path = Path("evaluate") / name
        assert (tmp_path / "reports" / path).read_bytes() == (evaluated.reports / path).read_bytes()
    assert logged[0][0] == "run-1"
    assert logged[0][1]["metrics"] == figures


def test_a_shot_of_unknown_motion_has_a_warp_error_too(project, tmp_path):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "manifest.csv").write_bytes((project.prepared / "manifest.csv").read_bytes())
    figures = evaluate(parse_params(PARAMS), prepared, project.models, tmp_path / "reports", root=project.root)
    temporal = sorted(n for n in figures if n.startswith("temporal/") and "detail" not in n)
    warped = [f"temporal/e_warp_dis{suffix}" for suffix in ("", "_best_filter", "_truth", "_unstylized")]
    assert temporal == [*warped, "temporal/shift_error"]


def test_without_baselines_and_time_there_is_less_to_do(project, tmp_path):
    params = parse_params({**PARAMS, "evaluate": {"baselines": False, "temporal": False, "every": 2}})
    figures = evaluate(params, project.prepared, project.models, tmp_path, root=project.root)
    assert not [n for n in figures if n.startswith("temporal/") or n.endswith("_best_filter")]
    with (tmp_path / "evaluate" / "frames.csv").open(newline="") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == ["1", "5"]  # 3 is the key frame


@pytest.fixture
def one_folder(project, tmp_path):
    """The plates as a folder of content pictures without any style."""
    rows = [
        ManifestRow(f"plates/{frame:04d}.png", domain="content", split="test" if frame % 2 else "train")
        for frame in range(1, FRAMES + 1)
    ]
    write_manifest(as_manifest(rows), tmp_path / "prepared" / "manifest.csv")
    return tmp_path / "prepared"


def test_one_folder_without_a_style_is_judged_on_its_content(project, one_folder, tmp_path):
    figures = evaluate(parse_params(PARAMS), one_folder, project.models, tmp_path / "reports", root=project.root)
    expected = ["content/psnr_db", "content/ssim", "temporal/shift_error"]
    assert sorted(n for n in figures if not n.startswith("speed/")) == expected
    assert [p.name for p in (tmp_path / "reports/evaluate").glob("*.png")] == ["pictures-grid.png"]


def test_a_model_is_judged_at_the_size_that_it_learned(project, one_folder, tmp_path):
    params = parse_params({**PARAMS, "prepare": {"source": "sample", "resize_px": 36}})
    evaluate(params, one_folder, project.models, tmp_path / "reports", root=project.root)
    small = read_picture(tmp_path / "reports/evaluate/pictures-grid.png")
    evaluate(parse_params(PARAMS), one_folder, project.models, tmp_path / "reports", root=project.root)
    large = read_picture(tmp_path / "reports/evaluate/pictures-grid.png")
    assert 2 * (48 - 36) < large.height_px - small.height_px < 4 * (48 - 36)  # three rows of 48 px, now of 36


def test_what_is_missing_is_named(project, tmp_path):
    with pytest.raises(UsageError, match="run the stage prepare first"):
        evaluate(parse_params(PARAMS), tmp_path, project.models, tmp_path, root=project.root)
    with pytest.raises(UsageError, match="is not a model folder"):
        evaluate(parse_params(PARAMS), project.prepared, tmp_path, tmp_path, root=project.root)
