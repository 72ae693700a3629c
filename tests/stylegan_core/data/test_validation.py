import numpy as np
import pytest
import torch

from stylegan_core.data.manifest import Box, ManifestRow, as_manifest
from stylegan_core.data.store import SampleStore, StoreWriter
from stylegan_core.data.validation import validation_set


@pytest.fixture
def build(tmp_path):
    def make(rows):
        rng = np.random.default_rng(0)
        with StoreWriter(tmp_path / "store", "srgb", "uint8") as writer:
            for index, row in enumerate(rows):
                channels = 1 if row.get("domain") == "" else 3
                unit = rng.random((40, 60, channels), np.float32)
                row |= {"path": f"{index:02}.png", "width_px": 60, "height_px": 40, "sample": writer.add(unit)}
        return SampleStore.open(tmp_path / "store"), as_manifest(ManifestRow(**row) for row in rows if row["domain"])

    return make


def test_a_held_out_box_comes_with_its_context_and_its_painting(build):
    box = {"split": "train", "pair": "s/1", "shot": "s", "held_out": Box(40, 27, 20, 13)}
    store, manifest = build([{"domain": "content", **box}, {"domain": "style", **box}])
    (area,) = validation_set(store, manifest, paired=True, context_px=10).areas
    assert area.box == Box(10, 10, 20, 13)
    for tensor, index in ((area.content, 0), (area.style, 1)):
        expected = torch.from_numpy(store.unit(index)[17:40, 30:60].copy()).permute(2, 0, 1)[None] * 2 - 1
        torch.testing.assert_close(tensor, expected)
    expected = torch.from_numpy(store.unit(1)[27:40, 40:60].copy()).permute(2, 0, 1)[None] * 2 - 1
    torch.testing.assert_close(area.inside(area.style), expected)
    assert area.mask_unit is None


def test_the_mask_of_a_painted_frame_comes_along(build):
    box = {"split": "train", "pair": "s/1", "held_out": Box(0, 0, 20, 13)}
    store, manifest = build(
        [{"domain": "content", **box}, {"domain": "style", "mask_sample": 2, **box}, {"domain": ""}]
    )
    (area,) = validation_set(store, manifest, paired=True, context_px=0).areas
    expected = torch.from_numpy(store.unit(2)[:13, :20, 0].copy())
    torch.testing.assert_close(area.mask_unit[0, 0], expected)


def test_held_out_pairs_are_compared_whole_at_the_centre(build):
    rows = [{"domain": d, "split": "validation", "pair": "a"} for d in ("content", "style")]
    store, manifest = build(rows)
    (area,) = validation_set(store, manifest, paired=True, side_px=20).areas
    assert area.content.shape == area.style.shape == (1, 3, 20, 20)
    assert area.box == Box(0, 0, 20, 20)
    expected = torch.from_numpy(store.unit(0)[10:30, 20:40].copy()).permute(2, 0, 1)[None] * 2 - 1
    torch.testing.assert_close(area.content, expected)


def test_collections_give_contents_and_references_at_most_the_limit_evenly_spread(build):
    rows = [{"domain": d, "split": s} for d in ("content", "style") for s in ("validation", "train") for _ in range(10)]
    store, manifest = build(rows)
    held = validation_set(store, manifest, paired=False, limit=5)
    assert [area.name for area in held.areas] == ["00.png", "02.png", "04.png", "06.png", "08.png"]
    assert len(held.references) == 5
    assert held.references[0].shape == (1, 3, 40, 60)
    assert all(area.style is None for area in held.areas)


def test_a_collection_without_held_out_pictures_is_validated_on_its_own_and_says_so(build, caplog):
    rows = [{"domain": "content", "split": "validation"}, {"domain": "style", "split": "train"}]
    store, manifest = build(rows)
    held = validation_set(store, manifest, paired=False)
    assert (len(held.areas), len(held.references)) == (1, 1)
    assert "no style picture is held out" in caplog.text


def test_without_anything_held_out_the_set_is_empty(build):
    store, manifest = build([{"domain": d, "split": "train", "pair": "a"} for d in ("content", "style")])
    held = validation_set(store, manifest, paired=True)
    assert held.areas == ()
    assert held.references == ()


def test_an_unpaired_recipe_is_validated_against_the_truth_where_every_style_has_its_pair(build):
    rows = [{"domain": d, "split": s, "pair": s} for s in ("validation", "train") for d in ("content", "style")]
    store, manifest = build([*rows, {"domain": "content", "split": "train"}])
    held = validation_set(store, manifest, paired=False)
    assert held.references == ()
    (area,) = held.areas
    expected = validation_set(store, manifest, paired=True).areas[0]
    assert torch.equal(area.style, expected.style)
    assert torch.equal(area.content, expected.content)


def test_an_unpaired_recipe_with_a_collection_of_styles_keeps_to_it(build):
    box = {"split": "train", "pair": "s/1", "shot": "s", "held_out": Box(40, 27, 20, 13)}
    rows = [{"domain": "content", **box}, {"domain": "style", **box}]
    rows += [{"domain": d, "split": "validation"} for d in ("content", "style")]
    held = validation_set(*build(rows), paired=False)
    assert [area.name for area in held.areas] == ["02.png"]
    assert len(held.references) == 1


def test_pairs_of_which_none_is_held_out_validate_an_unpaired_recipe_as_collections_do(build, caplog):
    store, manifest = build([{"domain": d, "split": "train", "pair": "a"} for d in ("content", "style")])
    held = validation_set(store, manifest, paired=False)
    assert (len(held.areas), len(held.references)) == (1, 1)
    assert held.areas[0].style is None
    assert "no style picture is held out" in caplog.text


def test_one_folder_has_areas_and_no_references_and_says_nothing_of_a_style(build, caplog):
    store, manifest = build([{"domain": "content", "split": s} for s in ("validation", "train")])
    held = validation_set(store, manifest, paired=False)
    assert [area.name for area in held.areas] == ["00.png"]
    assert held.references == ()
    assert "style" not in caplog.text


def test_each_area_adds_an_attribute_that_its_picture_lacks_or_removes_one_that_it_has(build):
    labels = ("dark=1 round=0", "dark=0 round=1", "dark=0", "")
    rows = [{"domain": "content", "split": "validation", "labels": text} for text in labels]
    store, manifest = build(rows)
    held = validation_set(store, manifest, paired=False, labels=("dark", "round"))
    assert [area.attribute_change.tolist() for area in held.areas] == [
        [[-1.0, 0.0]],
        [[0.0, -1.0]],
        [[1.0, 0.0]],
        [[0.0, 1.0]],
    ]
    assert validation_set(store, manifest, paired=False).areas[0].attribute_change is None


def test_held_out_pairs_have_changes_of_attributes_too(build):
    pair = [{"domain": d, "split": "validation", "pair": "a", "labels": "dark=1"} for d in ("content", "style")]
    (area,) = validation_set(*build(pair), paired=True, labels=("dark",)).areas
    assert area.attribute_change.tolist() == [[-1.0]]
