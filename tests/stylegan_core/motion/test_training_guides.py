from pathlib import Path

import cv2
import numpy as np
import pytest

from stylegan_core.data.crops import CropSampler
from stylegan_core.data.manifest import ManifestRow, as_manifest
from stylegan_core.data.store import SampleStore, StoreWriter, to_unit
from stylegan_core.data.validation import validation_set
from stylegan_core.motion.training_guides import training_guides

HEIGHT, WIDTH, STEP_PX = 80, 112, 6


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((HEIGHT, 400, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min())


WORLD, PAINTED = texture(1), texture(2)


def seen(picture: np.ndarray, number: int) -> np.ndarray:
    left = STEP_PX * number
    return np.ascontiguousarray(picture[:, left : left + WIDTH])


def prepared(folder: Path, painted: tuple[int, ...], frames: range) -> tuple[SampleStore, tuple[ManifestRow, ...]]:
    """A pan over a picture of which some frames are painted."""
    rows = []
    with StoreWriter(folder, "srgb", "uint8") as writer:
        size = {"width_px": WIDTH, "height_px": HEIGHT, "split": "train", "shot": "pan"}
        for number in frames:
            pair = f"pan/{number}" if number in painted else ""
            sample = writer.add(seen(WORLD, number))
            rows.append(ManifestRow(f"{number}.png", domain="content", frame=number, pair=pair, sample=sample, **size))
            if pair:
                sample = writer.add(seen(PAINTED, number))
                rows.append(
                    ManifestRow(f"p{number}.png", domain="style", frame=number, pair=pair, sample=sample, **size)
                )
    return SampleStore.open(folder), as_manifest(rows)


def by_frame(store: SampleStore, manifest: tuple[ManifestRow, ...]) -> dict[int, np.ndarray]:
    guides = training_guides(store, manifest)
    contents = {row.sample: row.frame for row in manifest if row.domain == "content"}
    return {contents[sample]: to_unit(guide) for sample, guide in guides.items()}


def test_frames_are_guided_by_the_key_frames_but_not_by_themselves(tmp_path: Path) -> None:
    found = by_frame(*prepared(tmp_path / "store", (2, 6), range(0, 8)))
    assert sorted(found) == list(range(8))
    for number in (2, 4, 6):  # frame 2 shows 24 px of which frame 6 shows nothing
        guide, confidence = found[number][..., :3], found[number][..., 3]
        inside = (confidence > 0.75)[8:-8, 8:-8]
        assert inside.mean() > 0.5
        assert np.abs(guide - seen(PAINTED, number))[8:-8, 8:-8][inside].mean() < 0.02
    other = found[2][8:-8, 4:20]  # frame 6 does not show it: found elsewhere, not in frame 2 itself
    assert other[..., 3].max() <= 0.51
    assert np.abs(other[..., :3] - seen(PAINTED, 2)[8:-8, 4:20]).mean() > 0.03


def test_guides_that_nobody_draws_are_left_out_without_changing_the_others(tmp_path: Path) -> None:
    store, manifest = prepared(tmp_path / "store", (2, 6), range(0, 8))
    every, painted = training_guides(store, manifest), training_guides(store, manifest, unpainted=False)
    assert len(painted) == 2
    assert all(np.array_equal(every[sample], guide) for sample, guide in painted.items())


def test_a_single_key_frame_is_guided_by_appearance_alone(tmp_path: Path) -> None:
    found = by_frame(*prepared(tmp_path / "store", (3,), range(3, 5)))
    assert found[3][..., 3].max() <= 0.51
    assert found[4][8:-8, 8:-20, 3].mean() > 0.8


def test_sampler_and_validation_cut_guides_like_the_content(tmp_path: Path) -> None:
    store, manifest = prepared(tmp_path / "store", (2, 6), range(0, 8))
    guides = training_guides(store, manifest)
    settings = {"paired": True, "unpainted": True, "crop_px": 32, "batch_size": 16, "seed": 1}
    batch = CropSampler(store, manifest, **settings, guides=guides).batch(0)
    assert batch.guide is not None
    assert batch.unpainted_guide is not None
    assert batch.guide.shape == batch.unpainted_guide.shape == (16, 4, 32, 32)
    trusted = (batch.guide[:, 3:] > 0.5).expand(-1, 3, -1, -1)
    assert trusted.float().mean() > 0.3
    assert (batch.guide[:, :3] - batch.style)[trusted].abs().mean() < 0.06
    assert CropSampler(store, manifest, **settings).batch(0).guide is None
    area, *_ = validation_set(store, manifest, paired=True, guides=guides).areas or (None,)
    assert area is None  # nothing is held out in this data


def test_a_crop_without_a_guide_has_confidence_0(tmp_path: Path) -> None:
    store, manifest = prepared(tmp_path / "store", (2, 6), range(2, 7))
    batch = CropSampler(store, manifest, paired=True, crop_px=32, batch_size=4, seed=1, guides={}).batch(0)
    assert batch.guide is not None
    assert (batch.guide[:, :3] == 0).all()
    assert (batch.guide[:, 3] == -1).all()


@pytest.mark.parametrize("mirror", [True, False])
def test_crops_are_mirrored_only_where_it_is_wanted(tmp_path: Path, mirror: bool) -> None:
    store, manifest = prepared(tmp_path / "store", (2,), range(2, 3))
    batch = CropSampler(store, manifest, paired=True, crop_px=32, batch_size=32, seed=1, mirror=mirror).batch(0)
    picture = seen(WORLD, 2)
    straight = 0
    for crop in ((batch.content + 1) / 2).permute(0, 2, 3, 1).numpy():
        score = cv2.matchTemplate(picture, np.ascontiguousarray(crop), cv2.TM_SQDIFF).min()
        straight += score < 1.0
    assert (straight == 32) is not mirror
