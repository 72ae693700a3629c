import hashlib

import numpy as np
import pytest
import torch

from stylegan_core.data.crops import CropSampler, signed
from stylegan_core.data.manifest import Box, ManifestError, ManifestRow, as_manifest
from stylegan_core.data.store import SampleStore, StoreWriter

WIDTH, HEIGHT = 60, 40


def position_picture(offset=0, width=WIDTH, height=HEIGHT):
    """Red is the column, green the row, blue the offset: a crop tells where it was cut."""
    rows, columns = np.mgrid[:height, :width]
    codes = np.stack([columns, rows, np.full_like(rows, offset)], axis=-1)
    return (codes / 255).astype(np.float32)


class Project:
    """Builds a small store and its manifest."""

    def __init__(self, folder, sample_type="uint8"):
        self.folder, self.writer, self.rows = folder, StoreWriter(folder, "srgb", sample_type), []

    def add(self, domain, unit, mask=None, **row):
        row = {"path": f"{domain}{len(self.rows)}.png", "domain": domain, "split": "train", **row}
        row |= {"width_px": unit.shape[1], "height_px": unit.shape[0], "sample": self.writer.add(unit)}
        if mask is not None:
            row["mask_sample"] = self.writer.add(mask)
        self.rows.append(ManifestRow(**row))
        return self

    def pair(self, name, offset, mask=None, **row):
        self.add("content", position_picture(offset), pair=name, **row)
        return self.add("style", position_picture(offset + 100), mask, pair=name, **row)

    def open(self):
        self.writer.close()
        return SampleStore.open(self.folder), as_manifest(self.rows)


def codes(crops):
    return torch.round((crops + 1) * 127.5).long()


def sampler(project, **settings):
    settings = {"crop_px": 16, "batch_size": 8, "seed": 3} | settings
    return CropSampler(*project.open(), **settings)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "store")


@pytest.mark.parametrize("sample_type", ["uint8", "uint16", "half"])
def test_crops_are_true_pieces_of_their_pictures_flipped_or_not(tmp_path, sample_type):
    project = Project(tmp_path / "store", sample_type).add("content", position_picture(7))
    crops = codes(sampler(project, style=False, batch_size=32).batch(0).content)
    flipped = 0
    for crop in crops:
        columns, rows, offset = crop[0, 0].tolist(), crop[1, :, 0].tolist(), crop[2]
        turned = columns[0] > columns[-1]
        flipped += turned
        assert columns[:: -1 if turned else 1] == list(range(min(columns), min(columns) + 16))
        assert rows == list(range(rows[0], rows[0] + 16))
        assert (crop[0] == crop[0, :1]).all()
        assert (crop[1] == crop[1, :, :1]).all()
        assert (offset == 7).all()
    assert 8 <= flipped <= 24


def test_batches_depend_on_seed_and_step_alone(project):
    store, manifest = project.pair("a", 0).pair("b", 10).open()
    settings = {"paired": True, "crop_px": 16, "batch_size": 4}
    first = CropSampler(store, manifest, seed=1, **settings)
    expected = [first.batch(step).content for step in range(5)]
    again = CropSampler(store, manifest, seed=1, **settings)
    for step in (3, 0, 4):
        assert torch.equal(again.batch(step).content, expected[step])
    other = CropSampler(store, manifest, seed=2, **settings)
    assert not torch.equal(other.batch(0).content, expected[0])
    assert not torch.equal(expected[0], expected[1])


def test_pairs_are_cut_and_flipped_alike(project):
    batch = sampler(project.pair("a", 0).pair("b", 10), paired=True, batch_size=64).batch(0)
    content, style = codes(batch.content), codes(batch.style)
    assert torch.equal(content[:, :2], style[:, :2])
    assert torch.equal(content[:, 2] + 100, style[:, 2])
    assert set(content[:, 2].unique().tolist()) == {0, 10}
    assert batch.mask_unit is None
    assert batch.unpainted is None


@pytest.mark.parametrize("box", [(0, 0, 20, 13), (40, 27, 20, 13), (40, 0, 20, 13), (0, 27, 20, 13), (25, 15, 10, 10)])
def test_no_crop_touches_the_held_out_box_and_every_other_place_is_reached(project, box):
    x, y, width, height = box
    project.pair("a", 0, held_out=Box(*box))
    crops = sampler(project, paired=True, crop_px=8, batch_size=4096)
    starts = set()
    for step in range(4):
        cut = codes(crops.batch(step).content)
        starts |= set(zip(cut[:, 0].amin((1, 2)).tolist(), cut[:, 1].amin((1, 2)).tolist(), strict=True))
    allowed = {
        (cx, cy)
        for cx in range(WIDTH - 7)
        for cy in range(HEIGHT - 7)
        if cx + 8 <= x or cx >= x + width or cy + 8 <= y or cy >= y + height
    }
    assert starts <= allowed
    assert len(starts) > 0.99 * len(allowed)


def test_crops_of_a_masked_frame_hold_paint_and_bring_the_mask(project):
    mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    mask[10:30, 40:] = 1.0
    project.pair("masked", 0, mask, held_out=Box(50, 10, 10, 10)).pair("whole", 50)
    batch = sampler(project, paired=True, batch_size=256).batch(0)
    assert batch.mask_unit.shape == (256, 1, 16, 16)
    cut = codes(batch.content)
    expected = torch.from_numpy(mask[..., 0])[cut[:, 1], cut[:, 0]]
    whole = cut[:, 2, 0, 0] == 50
    assert torch.equal(batch.mask_unit[~whole, 0], expected[~whole])
    assert (batch.mask_unit[whole] == 1).all()
    assert 80 < whole.sum() < 180
    assert batch.mask_unit[~whole].mean((1, 2, 3)).min() >= 0.25
    # The mirror included, no crop shows the held-out box.
    assert not ((cut[~whole, 0] >= 50) & (cut[~whole, 1] >= 10) & (cut[~whole, 1] < 20)).any()


def test_a_recipe_without_pairs_draws_each_domain_alone(project):
    for offset in range(4):
        project.add("content", position_picture(offset)).add("style", position_picture(offset + 100))
    project.add("content", position_picture(50), split="validation")
    batch = sampler(project, batch_size=128).batch(0)
    content, style = codes(batch.content), codes(batch.style)
    assert set(content[:, 2].unique().tolist()) == {0, 1, 2, 3}
    assert set(style[:, 2].unique().tolist()) == {100, 101, 102, 103}
    assert not torch.equal(content[:, 0], style[:, 0])


def test_unpainted_crops_come_from_the_shots_of_the_pairs(project):
    project.pair("a/1", 0, shot="a").pair("b/1", 1, shot="b")
    project.add("content", position_picture(20), shot="a").add("content", position_picture(21), shot="b")
    project.add("content", position_picture(30))
    store, manifest = project.open()
    settings = {"paired": True, "unpainted": True, "crop_px": 16, "batch_size": 64, "seed": 0}
    batch = CropSampler(store, manifest, **settings).batch(0)
    assert set(codes(batch.unpainted)[:, 2].unique().tolist()) == {20, 21}
    batch = CropSampler(store, manifest, shots=["a"], **settings).batch(0)
    assert set(codes(batch.unpainted)[:, 2].unique().tolist()) == {20}
    assert set(codes(batch.content)[:, 2].unique().tolist()) == {0}


def test_drawing_unpainted_crops_does_not_change_the_pairs(project):
    store, manifest = project.pair("a/1", 0, shot="a").add("content", position_picture(20), shot="a").open()
    settings = {"paired": True, "crop_px": 16, "batch_size": 8, "seed": 0}
    alone = CropSampler(store, manifest, **settings).batch(3)
    beside = CropSampler(store, manifest, unpainted=True, **settings).batch(3)
    assert alone.unpainted is None
    assert torch.equal(alone.style, beside.style)


def test_pictures_smaller_than_a_crop_are_named(project):
    project.pair("a", 0).add("content", position_picture(width=12), path="small.png", pair="b")
    project.add("style", position_picture(width=12), path="small too.png", pair="b")
    with pytest.raises(ManifestError, match=r"small\.png \(12 x 40\).*lower crop_px"):
        sampler(project, paired=True)


def test_a_crop_that_cannot_avoid_the_box_says_so(project):
    project.pair("a", 0, held_out=Box(0, 0, 30, 20))
    with pytest.raises(ManifestError, match="avoids its held-out box 0,0,30,20"):
        sampler(project, paired=True, crop_px=40)


def test_a_mask_without_a_usable_place_says_so(project):
    mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    mask[:4, :4] = 1.0
    with pytest.raises(ManifestError, match="of its mask"):
        sampler(project.pair("a", 0, mask, held_out=Box(0, 0, 10, 10)), paired=True)


def test_nothing_to_train_on_is_an_error_that_names_the_shot(project):
    with pytest.raises(ManifestError, match=r"of b holds no pairs"):
        sampler(project.pair("a/1", 0, shot="a"), paired=True, shots=["b"])


def test_signed_maps_the_ends_of_each_type():
    assert signed(np.array([0, 255], np.uint8)).tolist() == [-1, 1]
    assert signed(np.array([0, 65535], np.uint16)).tolist() == [-1, 1]
    assert signed(np.array([0, 1, 3], np.float16)).tolist() == [-1, 1, 5]


def test_draws_without_the_further_arguments_stay_what_they_always_were(project):
    # The bytes that version 0.2 drew: checkpoints of older versions go on with the same batches.
    mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    mask[10:30, 40:] = 1.0
    project.pair("masked", 0, mask, held_out=Box(50, 10, 10, 10)).pair("whole", 50).add("content", position_picture(20))
    store, manifest = project.open()
    found = []
    for paired in (True, False):
        batch = CropSampler(
            store, manifest, paired=paired, unpainted=True, crop_px=16, batch_size=8, seed=3, zoom_min=1.0
        ).batch(5)
        digest = hashlib.sha256()
        for name in ("content", "style", "mask_unit", "unpainted"):
            crops = getattr(batch, name)
            if crops is not None:
                digest.update(crops.numpy().tobytes())
        found.append(digest.hexdigest()[:16])
    assert found == ["222ebd26b481f72c", "6c1c69fb71c4b9bd"]


def test_labels_follow_the_picture_that_is_drawn_in_the_order_asked_for(project):
    project.add("content", position_picture(1), labels="dark=1 tall=0").add("content", position_picture(2))
    project.add("content", position_picture(3), labels="tall=1").add("style", position_picture(9))
    batch = sampler(project, batch_size=64, labels=("tall", "dark")).batch(0)
    expected = {1: [0.0, 1.0], 2: [0.0, 0.0], 3: [1.0, 0.0]}
    offsets = codes(batch.content)[:, 2, 0, 0].tolist()
    assert set(offsets) == {1, 2, 3}
    assert batch.labels.tolist() == [expected[offset] for offset in offsets]


def test_paired_batches_bring_the_labels_of_the_picture_before(project):
    project.pair("a", 0, labels="dark=1").pair("b", 10, labels="dark=0")
    batch = sampler(project, paired=True, batch_size=32, labels=("dark",)).batch(0)
    assert torch.equal(batch.labels[:, 0], (codes(batch.content)[:, 2, 0, 0] == 0).float())


def test_a_label_that_no_picture_has_is_refused_with_those_that_are_known(project):
    project.add("content", position_picture(), labels="tall=0 dark=1")
    with pytest.raises(ManifestError, match=r"label 'smiling'; known are: dark, tall"):
        sampler(project, style=False, labels=("dark", "smiling"))


def known_pairs(project, fraction):
    batches = CropSampler(*project, crop_px=16, batch_size=256, seed=0, known_fraction=fraction).batch(0)
    content, style = codes(batches.known_content), codes(batches.known_style)
    assert torch.equal(content[:, :2], style[:, :2])
    assert torch.equal(content[:, 2] + 100, style[:, 2])
    return set(content[:, 2].unique().tolist())


def test_a_share_of_the_pairs_is_known_by_name_and_a_larger_share_holds_a_smaller(project):
    for offset in range(20):
        project.pair(f"p{offset}", offset)
    opened = project.open()
    shares = [known_pairs(opened, fraction) for fraction in (0.01, 0.1, 0.5, 1.0)]
    assert [len(share) for share in shares] == [1, 2, 10, 20]
    assert shares[0] < shares[1] < shares[2] < shares[3]


def test_known_pairs_change_nothing_of_the_other_draws_and_need_pairs(project):
    store, manifest = project.pair("a", 0).pair("b", 10).add("content", position_picture(50)).open()
    settings = {"crop_px": 16, "batch_size": 64, "seed": 0}
    alone = CropSampler(store, manifest, **settings).batch(2)
    beside = CropSampler(store, manifest, known_fraction=0.5, **settings).batch(2)
    assert torch.equal(alone.content, beside.content)
    assert torch.equal(alone.style, beside.style)
    assert alone.known_content is None
    assert beside.known_content is not None
    # Content and style are drawn on their own: neither the same pictures nor the same places.
    drawn = codes(alone.content)[:, 2, 0, 0], codes(alone.style)[:, 2, 0, 0] - 100
    assert set(drawn[0].tolist()) == {0, 10, 50}
    assert set(drawn[1].tolist()) == {0, 10}
    assert not torch.equal(*drawn)
    with pytest.raises(ManifestError, match="no pairs, and known_fraction needs some"):
        CropSampler(store, [row for row in manifest if not row.pair], style=False, known_fraction=0.5, **settings)


def test_partly_painted_frames_are_never_known_pairs(project):
    mask = np.ones((HEIGHT, WIDTH, 1), np.float32)
    project.pair("masked", 0, mask).pair("whole", 50)
    batch = sampler(project, known_fraction=1.0, batch_size=32).batch(0)
    assert set(codes(batch.known_content)[:, 2].unique().tolist()) == {50}
    assert batch.mask_unit is None


@pytest.mark.parametrize("sample_type", ["uint8", "uint16", "half"])
def test_zoomed_crops_are_enlarged_pieces_and_pairs_stay_aligned(tmp_path, sample_type):
    project = Project(tmp_path / "store", sample_type).pair("a", 0)
    batch = sampler(project, paired=True, batch_size=128, zoom_min=0.5).batch(0)
    torch.testing.assert_close(batch.content[:, :2], batch.style[:, :2], atol=0, rtol=0)
    columns = (batch.content[:, 0, 0].double() + 1) * 127.5
    # Over the inner columns a crop of side s, enlarged to 16, rises by s / 16 a column.
    sides = (columns[:, 12] - columns[:, 3]).abs() / 9 * 16
    assert 6.5 < sides.min() < 9.5
    assert 14.5 < sides.max() < 17.5
    rows = (batch.content[:, 1, :, 0].double() + 1) * 127.5
    torch.testing.assert_close(
        (rows[:, 12] - rows[:, 3]).abs() / 9 * 16, sides, atol=1.8, rtol=0
    )  # a step of 8 bits each


@pytest.mark.parametrize("sample_type", ["uint8", "uint16", "half"])
def test_label_maps_keep_their_colours_in_zoomed_crops(tmp_path, sample_type):
    labels = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    labels[::2, ::3] = 1.0
    project = Project(tmp_path / "store", sample_type).add("content", labels, pair="a").add("style", labels, pair="a")
    settings = {"paired": True, "batch_size": 32, "zoom_min": 0.5}
    batch = sampler(project, content_filter="nearest", **settings).batch(0)
    assert set(codes(batch.content).unique().tolist()) == {0, 255}
    assert len(codes(batch.style).unique()) > 10  # photographs are still enlarged linearly
    positions = Project(tmp_path / "positions", sample_type).pair("a", 0)
    batch = sampler(positions, content_filter="nearest", **settings).batch(0)
    apart_px = 127.5 * (batch.content[:, :2] - batch.style[:, :2]).abs()
    assert 0.2 < apart_px.max() <= 1.01  # aligned, to the nearest pixel and code


def test_zoomed_crops_reach_the_borders_and_never_a_held_out_box(project):
    project.pair("a", 0, held_out=Box(40, 27, 20, 13))
    cut = codes(sampler(project, paired=True, batch_size=2048, zoom_min=0.25).batch(0).content)
    assert not ((cut[:, 0] >= 40) & (cut[:, 1] >= 27)).any()
    assert (cut[:, 0].amin(), cut[:, 0].amax(), cut[:, 1].amin(), cut[:, 1].amax()) == (0, 59, 0, 39)


def test_pictures_are_counted_once_each(project):
    project.pair("a", 0).pair("b", 10).add("content", position_picture(20)).add(
        "content", position_picture(), split="test"
    )
    store, manifest = project.open()
    settings = {"crop_px": 16, "batch_size": 1, "seed": 0}
    assert CropSampler(store, manifest, paired=True, **settings).pictures == 4
    assert CropSampler(store, manifest, known_fraction=1.0, **settings).pictures == 5
    assert CropSampler(store, manifest, style=False, **settings).pictures == 3
