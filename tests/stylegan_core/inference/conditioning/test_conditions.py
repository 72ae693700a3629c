from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.profiles.ocio import ColourError
from stylegan_core.inference.conditioning.conditions import check_edit, conditions_of, plan_conditioning
from stylegan_core.inference.conditioning.reference_pictures import cover, read_reference
from stylegan_core.inference.job.frame_settings import FrameSettings, StyleReference
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.network.translate import translate_unit
from stylegan_core.recipes.base import BaseRecipe, Kind, Needs, RecipeConfig
from stylegan_core.storage.hashing import sha256_of

SRGB = ColourContext("srgb")
CONFIG = """\
ocio_profile_version: 2
roles: {default: raw, scene_linear: lin, aces_interchange: lin}
displays: {screen: [!<View> {name: plain, colorspace: raw}]}
colorspaces:
  - !<ColorSpace> {name: raw, isdata: true}
  - !<ColorSpace> {name: lin, encoding: scene-linear}
  - !<ColorSpace>
    name: house_gamma
    to_scene_reference: !<ExponentTransform> {value: [2, 2, 2, 1]}
"""


class Tinter(BaseRecipe):
    """Goes from the content to the mean colour of its references, which it computes once."""

    kind, needs, paper, conditioned_on = Kind.TRANSLATE, Needs(), "none", ("styles", "direction")

    def __init__(self):
        super().__init__(RecipeConfig())
        self.networks["generator"] = nn.Identity()
        self.prepared, self.seen = 0, None

    def prepare_conditions(self, conditions):
        assert not torch.is_grad_enabled()
        self.prepared += 1
        given = conditions.styles
        colours = conditions.style_codes if given is None else given.mean(dim=(2, 3))
        return replace(conditions, styles=None, style_codes=colours)

    def translate(self, content, conditions):
        self.seen = conditions
        colour = conditions.style_weights @ conditions.style_codes
        sign = 1 if conditions.direction == "forward" else -1
        return content + sign * conditions.strength * (colour[None, :, None, None] - content)


@pytest.fixture
def tinter(tiny_model):
    return replace(tiny_model, recipe=Tinter())


@pytest.fixture
def references(tmp_path):
    """Red, 64 x 40; green, 96 x 96; both sRGB."""
    cv2.imwrite(str(tmp_path / "red.png"), np.full((40, 64, 3), (0, 0, 255), np.uint8))
    cv2.imwrite(str(tmp_path / "green.png"), np.full((96, 96, 3), (0, 255, 0), np.uint8))
    return tmp_path


def test_weights_are_normalized_and_nothing_weighs_nothing(tinter, references):
    planned = plan_conditioning(tinter, style_images=["red.png:3", "green.png"], root=references)
    assert [(r.path, r.weight) for r in planned.styles] == [
        (references / "red.png", 0.75),
        (references / "green.png", 0.25),
    ]
    (only,) = plan_conditioning(tinter, style_images=["red.png:0", "green.png:0.2"], root=references).styles
    assert only.path.name == "green.png"
    assert only.weight == 1.0
    odd = references / "dusk:2"
    odd.write_bytes((references / "red.png").read_bytes())
    assert plan_conditioning(tinter, style_images=[str(odd)]).styles[0].path == odd


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["none.png"], "none.png cannot be read: No such file"),
        (["red.png:-1"], "must be 0 or more"),
        (["red.png:0"], "at least one"),
        (["text.png"], "text.png cannot be read"),
    ],
)
def test_bad_references_are_refused(tinter, references, images, message):
    (references / "text.png").write_text("text")
    with pytest.raises(PlanError, match=message):
        plan_conditioning(tinter, style_images=images, root=references)


def test_conditioning_that_a_model_does_not_accept_is_refused(tiny_model, tinter, references):
    with pytest.raises(PlanError, match="takes no style images: it is conditioned on the frames alone"):
        plan_conditioning(tiny_model, style_images=["red.png"], root=references)
    with pytest.raises(PlanError, match="takes no direction"):
        plan_conditioning(tiny_model, direction="backward")
    with pytest.raises(PlanError, match="takes no edits of attributes: it is conditioned on style images, direction"):
        plan_conditioning(tinter, edit="smiling")


def test_edits_are_words_numbers_or_a_mapping():
    names = ("Smiling", "Eyeglasses")
    assert check_edit("smiling, no glasses", names) == {"Eyeglasses": -1.0, "Smiling": 1.0}
    assert check_edit("smiling=0.5", names) == {"Smiling": 0.5}
    assert check_edit({"Smiling": -1}, names) == {"Smiling": -1.0}
    for wrong in ("beard", {"Beard": 1}, {"Smiling": 1.5}, "Smiling=2"):
        with pytest.raises(PlanError, match=r"Smiling|-1"):
            check_edit(wrong, names)


def test_the_skip_key_knows_content_and_weight_not_the_place(tinter, references):
    def digest(**wishes):
        return FrameSettings(directions=plan_conditioning(tinter, root=references, **wishes)).digest()

    one = digest(style_images=["red.png", "green.png"])
    (references / "copy.png").write_bytes((references / "red.png").read_bytes())
    assert digest(style_images=["copy.png", "green.png"]) == one
    assert digest(style_images=["copy.png:2", "green.png"]) != one
    small, large = (["red.png:0.3", "green.png"], ["red.png:3", "green.png:10"])
    assert digest(style_images=small) == digest(style_images=large)
    assert digest(style_images=["green.png", "green.png"]) != one
    assert digest(direction="backward") != digest() == FrameSettings().digest()


def test_references_reach_the_recipe_once_and_mixed(tinter, references):
    planned = plan_conditioning(tinter, style_images=["red.png:3", "green.png"], root=references)
    conditions = conditions_of(tinter, planned, SRGB, strength=0.5)
    picture = np.random.default_rng(0).random((37, 40, 3), dtype=np.float32)
    for _ in range(3):
        result = translate_unit(tinter, picture, conditions=conditions)
    assert tinter.recipe.prepared == 2  # one a reference, whatever the number of pictures
    expected = picture + 0.5 * (np.array([0.75, 0.25, 0.0]) - picture)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    back = conditions_of(tinter, planned.model_copy(update={"direction": "backward"}), SRGB, strength=0.5)
    np.testing.assert_allclose(translate_unit(tinter, picture, conditions=back), 2 * picture - expected, atol=1e-5)


def test_a_reference_that_changed_since_is_refused(tinter, references):
    planned = plan_conditioning(tinter, style_images=["red.png"], root=references)
    (references / "red.png").write_bytes((references / "green.png").read_bytes())
    with pytest.raises(PlanError, match="plan again"):
        conditions_of(tinter, planned, SRGB)


def test_labels_hold_for_every_picture_of_a_batch(tiny_model):
    from stylegan_core.inference.network.translate import translate_batch_unit
    from stylegan_core.recipes.base import Conditions

    recipe = Tinter()
    recipe.translate = lambda content, conditions: content * 0 + conditions.labels.sum(dim=1)[:, None, None, None]
    made = translate_batch_unit(
        recipe, np.zeros((3, 32, 32, 3), np.float32), conditions=Conditions(labels=torch.tensor([[0.25, -0.5]]))
    )
    np.testing.assert_allclose(made, (1 - 0.25) / 2, atol=1e-6)


def test_cover_keeps_the_middle_and_the_aspect():
    picture = np.zeros((40, 80, 3), np.float32)
    picture[:, 30:50] = 1
    square = cover(picture, 80, 80)
    assert square.shape == (80, 80, 3)
    assert square[:, 20:60].min() > 0.4
    assert square[:, :15].max() < 0.1
    assert cover(picture, 40, 80) is picture


def test_paths_are_absolute(tinter, references, monkeypatch):
    monkeypatch.chdir(references)
    (style,) = plan_conditioning(tinter, style_images=["red.png"]).styles
    assert style.path == references / "red.png"
    assert Path(style.path).is_absolute()


class Plain(Tinter):
    """Makes no codes: all references come as one tensor."""

    def prepare_conditions(self, conditions):
        return conditions

    def translate(self, content, conditions):
        self.seen = conditions
        return content


def test_a_recipe_without_codes_gets_squares_of_one_size(tiny_model, references):
    plain = replace(tiny_model, recipe=Plain())
    planned = plan_conditioning(plain, style_images=["red.png", "green.png"], root=references)
    conditions = conditions_of(plain, planned, SRGB)
    assert conditions.styles.shape == (2, 3, 40, 40)
    assert conditions.style_codes is None
    np.testing.assert_allclose(conditions.styles[0].mean(dim=(1, 2)), [1, -1, -1], atol=1e-6)
    np.testing.assert_allclose(conditions.styles[1].mean(dim=(1, 2)), [-1, 1, -1], atol=1e-6)


def test_entries_of_a_style_bank_stand_for_their_pictures(tinter, references):
    from stylegan_core.inference.conditioning.style_bank import build_style_bank, save_style_bank

    save_style_bank(build_style_bank(tinter, references), references / "bank")
    wish = {"style_images": ["red.png:3", "green.png"], "root": references}
    by_bank = plan_conditioning(tinter, style_bank=Path("bank"), **wish)
    assert [(r.name, r.weight) for r in by_bank.styles] == [("red.png", 0.75), ("green.png", 0.25)]
    by_file = conditions_of(tinter, plan_conditioning(tinter, **wish), SRGB)
    codes = conditions_of(tinter, by_bank, SRGB)
    assert torch.equal(by_file.style_codes, codes.style_codes)
    assert torch.equal(by_file.style_weights, codes.style_weights)
    with pytest.raises(PlanError, match=r"has no 'blue\.png'"):
        plan_conditioning(tinter, style_images=["blue.png"], root=references, style_bank=Path("bank"))
    with pytest.raises(PlanError, match="contains no style bank"):
        plan_conditioning(tinter, style_images=["red.png"], root=references, style_bank=Path("none"))
    (references / "green.png").write_bytes((references / "red.png").read_bytes())
    save_style_bank(build_style_bank(tinter, references), references / "bank")
    with pytest.raises(PlanError, match="changed since the job was planned"):
        conditions_of(tinter, by_bank, SRGB)


def test_digests_of_a_bank_cover_only_the_named_codes(tinter, references):
    from stylegan_core.inference.conditioning.style_bank import build_style_bank, save_style_bank

    def digest_of_green():
        save_style_bank(build_style_bank(tinter, references), references / "bank")
        planned = plan_conditioning(tinter, style_images=["green.png"], root=references, style_bank=Path("bank"))
        return FrameSettings(directions=planned).digest()

    before = digest_of_green()
    cv2.imwrite(str(references / "blue.png"), np.full((40, 40, 3), (255, 0, 0), np.uint8))
    assert digest_of_green() == before  # another entry redoes nothing
    (references / "green.png").rename(references / "later.png")
    (references / "blue.png").rename(references / "green.png")
    (references / "red.png").rename(references / "unasked.png")
    assert digest_of_green() != before  # the name is the same, the style another


def test_a_name_of_a_bank_may_come_twice(tinter, references):
    from stylegan_core.inference.conditioning.style_bank import build_style_bank, save_style_bank

    save_style_bank(build_style_bank(tinter, references), references / "bank")
    wish = {"root": references, "style_bank": Path("bank")}
    planned = plan_conditioning(tinter, style_images=["red.png", "green.png", "red.png:2"], **wish)
    assert [(r.name, r.weight) for r in planned.styles] == [("red.png", 0.75), ("green.png", 0.25)]
    with pytest.raises(PlanError, match="is inf"):
        plan_conditioning(tinter, style_images=["red.png:inf"], **wish)


@pytest.mark.parametrize("size_px", [(1, 1), (3, 900), (33, 20)])
def test_small_references_are_extended_to_what_recipes_take(tinter, references, size_px):
    cv2.imwrite(str(references / "small.png"), np.full((*size_px, 3), (0, 255, 0), np.uint8))
    tinter.recipe.prepare_conditions = lambda given: replace(given, styles=None, style_codes=given.styles.flatten(1))
    planned = plan_conditioning(tinter, style_images=["small.png"], root=references)
    conditions = conditions_of(tinter, planned, SRGB)
    height, width = (max(32, min(512, side)) for side in size_px)
    assert conditions.style_codes.shape == (1, 3 * height * width)
    code = conditions.style_codes.reshape(1, 3, height, width)
    np.testing.assert_allclose(code.mean(dim=(2, 3)), [[-1, 1, -1]], atol=1e-6)


def test_references_are_read_with_the_config_of_the_job(references, monkeypatch):
    """A worker whose $OCIO names another config reads what was planned."""
    config = references / "house.ocio"
    config.write_text(CONFIG)
    monkeypatch.delenv("OCIO", raising=False)
    reference = StyleReference(path=references / "red.png", sha256=sha256_of(references / "red.png"), weight=1.0)
    expected = to_working(read_picture(reference.path), working_space="house_gamma", ocio=str(config))
    assert np.array_equal(read_reference(reference, ColourContext("house_gamma", str(config))), expected)
    with pytest.raises(ColourError, match="house_gamma"):
        read_reference(reference, ColourContext("house_gamma"))
