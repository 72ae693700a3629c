from pathlib import Path

import pytest

from stylegan_core.inference.job.frame_settings import Conditioning, FrameSettings, Region, StyleReference
from stylegan_core.inference.job.frame_task import FrameTask, RegionFiles
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.job.summary import summarize

MASKS, LABELS = Path("/plates/masks"), Path("/plates/labels")


def reference(file, weight=1.0, **more):
    return StyleReference(path=Path("/pictures", file), sha256="0" * 64, weight=weight, **more)


@pytest.fixture
def summary_of():
    def make(*, files=(), **settings):
        frames = tuple(
            FrameTask(input=f"{n}.png", output=f"{n}.png", regions=tuple(of_frame(n) for of_frame in files))
            for n in range(2)
        )
        settings = FrameSettings(**settings)
        folder = Path("/plates")
        return summarize(
            Job(chunk_frames=64, input_folder=folder, output_folder=folder, model_folder=folder, model_digest="a" * 64,
                settings=settings, frames=frames)
        )  # fmt: skip

    return make


def test_unused_settings_are_left_out(summary_of):
    assert summary_of() == {"strength": "1"}


def test_conditioning(summary_of):
    both = (reference("dusk.jpg", 0.75), reference("sea.jpg", 0.25))
    summary = summary_of(strength=0.8, directions=Conditioning(styles=both, edit={"Smiling": 1, "Young": -0.5}))
    assert summary == {
        "strength": "0.8", "references": "dusk.jpg 0.75, sea.jpg 0.25", "edit": "Smiling +1, Young -0.5"
    }  # fmt: skip
    assert summary_of(directions=Conditioning(styles=both[:1], direction="backward")) == {
        "strength": "1", "references": "dusk.jpg", "direction": "backward"
    }  # fmt: skip
    entry = reference("monet", name="day/lily.png")
    assert summary_of(directions=Conditioning(styles=(entry,)))["references"] == "day/lily.png"
    assert summary_of(directions=Conditioning(styles=(entry,)))["style bank"] == "monet"


def test_regions(summary_of):
    swap = {"model_folder": Path("/project/models/swap"), "model_digest": "b" * 64, "strength": 0.5}
    regions = (
        Region(**swap, directions=Conditioning(styles=(reference("ink.png"),)), feather_px=4.0),
        Region(value=(220, 20, 60), shows_picture=True, missing_mask="nowhere"),
    )
    files = (
        lambda n: RegionFiles(where=MASKS / f"{n}.png"),
        lambda n: RegionFiles(where=LABELS / "all.png", picture=Path("/backdrops/harbour.exr")),
    )
    summary = summary_of(regions=regions, files=files, outside_regions="style")
    assert summary == {
        "strength": "1",
        "region 1": "masks masks, model swap bbbbbbbbbbbb, references ink.png, strength 0.5, edge 4 px",
        "region 2": "label (220, 20, 60) of all.png, picture harbour.exr, strength 1, without a mask nowhere",
        "elsewhere": "as the model makes it",
    }
    assert "/" not in "".join(summary.values())
    nothing = (lambda n: RegionFiles(), *files[1:])
    assert summary_of(regions=regions, files=nothing)["region 1"].startswith("masks missing, ")
    assert summary_of(regions=regions, files=nothing)["elsewhere"] == "the source"


def test_temporal_smoothing(summary_of):
    assert summary_of(blend_frames=2, blend_weight=0.5)["blend"] == "2 frames to each side, weight 0.5"
    assert "blend" not in summary_of()
