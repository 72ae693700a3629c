from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.regions import plan_regions
from stylegan_core.inference.planning.request import Request, load_regions
from stylegan_core.inference.planning.selection.match_files import match_files
from stylegan_core.settings import SettingsError
from stylegan_core.stylize_settings import RegionSettings, StylizeSettings

FRAMES = [FrameTask(input=f"a/shot.{n:04d}.png", output=f"a/shot.{n:04d}.png") for n in (1, 2, 10)]


def request_of(root, regions, **settings):
    settings = StylizeSettings(regions=tuple(regions), **settings)
    return Request(root / "in", root / "out", settings=settings, regions_root=root, models=root / "models")


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / name), np.zeros((8, 8), np.uint8))
        return tmp_path

    return make


def test_files_belong_to_frames_by_name_then_by_number(folder):
    root = folder("m/a/shot.0001.tif", "m/other.2.png", "one.png")
    assert match_files(FRAMES, root / "m", "masks") == [root / "m/a/shot.0001.tif", root / "m/other.2.png", None]
    assert match_files(FRAMES, root / "one.png", "masks") == [root / "one.png"] * 3
    folder("m/b/again.2.png")
    with pytest.raises(PlanError, match="masks: frame 2 exists 2 times"):
        match_files(FRAMES, root / "m", "masks")
    with pytest.raises(PlanError, match="masks: there is no folder"):
        match_files(FRAMES, root / "none", "masks")


def test_regions_are_settled_with_their_files(folder, tiny_model):
    root = folder("sky/s.0001.png", "sky/s.0002.png", "labels/l.0010.png", "backdrop.png")
    asked = [
        RegionSettings(where="sky", strength=0.5, feather_px=2, missing_mask="nowhere"),
        RegionSettings(labels="labels", value=(1, 2, 3), model=str(tiny_model.folder)),
        RegionSettings(where="sky", picture="backdrop.png"),
    ]
    regions, frames = plan_regions(request_of(root, asked, strength=0.7), FRAMES, tiny_model, "cpu")
    assert [(r.strength, r.feather_px, r.missing_mask, r.value, r.shows_picture) for r in regions] == [
        (0.5, 2.0, "nowhere", None, False),
        (0.7, 0.0, "error", (1, 2, 3), False),
        (0.7, 0.0, "error", None, True),
    ]
    assert regions[0].model_digest is None
    assert regions[1].model_digest == tiny_model.card.digest
    assert frames[0].auxiliary_files == (
        root / "sky/s.0001.png",
        None,
        None,
        None,
        root / "sky/s.0001.png",
        root / "backdrop.png",
    )
    assert frames[2].auxiliary_files[0] is None
    assert frames[2].auxiliary_files[2] == root / "labels/l.0010.png"
    assert plan_regions(request_of(root, []), FRAMES, tiny_model, "cpu") == ((), tuple(FRAMES))


def test_wrong_regions_are_refused_by_number(folder, tiny_model):
    root = folder("m/x.0077.png")

    def plan(**region):
        return plan_regions(request_of(root, [RegionSettings(**region)]), FRAMES, tiny_model, "cpu")

    with pytest.raises(PlanError, match=r"region 1: .* has no mask for any of the frames"):
        plan(where="m")
    with pytest.raises(PlanError, match=r"region 1: .*no style images"):
        plan(where="m", missing_mask="nowhere", style_images=["m/x.0077.png"])
    with pytest.raises(PlanError, match="region 1: nowhere is not a model folder"):
        plan(where="m", missing_mask="nowhere", model="nowhere")
    other = replace(tiny_model, card=tiny_model.card.model_copy(update={"working_space": "linear_rec709"}))
    region = RegionSettings(where="m", missing_mask="nowhere", model=str(tiny_model.folder))
    with pytest.raises(PlanError, match="share a working space"):
        plan_regions(request_of(root, [region]), FRAMES, other, "cpu")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {}", r"regions.yaml\[0\].*either where"),
        ("- {where: a, labels: b, value: 1}", "either where"),
        ("- {labels: b}", "require each other"),
        ("- {where: a, picture: b, model: c}", "not both"),
        ("- {where: a, feather: 3}", "unknown setting.*feather_px"),
        ("where: a", "list of regions"),
        ("- [", "not valid YAML"),
    ],
)
def test_a_wrong_file_of_regions_is_explained(tmp_path, text, message):
    file = tmp_path / "regions.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_regions(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_regions(tmp_path / "none.yaml")


def test_files_of_a_region_have_no_weights():
    region = RegionSettings(labels="l", value=[1, 2, 3], style_images=["a.png:0.3", "b.png"])
    assert region.files() == [Path("l"), Path("a.png"), Path("b.png")]
    assert region.value == (1, 2, 3)
