from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.features.extractors import load_extractor
from stylegan_core.features.vgg import WeightsError
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.perceptual import Config, Recipe

SMALL: dict[str, Any] = {
    "crop_px": 32,
    "channels": 8,
    "blocks": 1,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
}


def recipe(**settings: Any) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**{**SMALL, **settings}))


def crops(seed: int) -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def only(name: str, **settings: Any) -> Recipe:
    """A recipe with one term, and its generator replaced by the identity."""
    weights = {key: 0.0 for key in ("content_weight", "style_weight", "adversarial_weight")}
    made = recipe(**{**weights, f"{name}_weight": 1.0, **settings})
    made.networks["generator"] = torch.nn.Identity()
    return made


@pytest.mark.parametrize("preset", list(Recipe.presets))
def test_presets_are_settings(preset: Any) -> None:
    assert Config(**Recipe.presets[preset])


def test_without_an_adversarial_term_there_is_no_discriminator() -> None:
    without = recipe(adversarial_weight=0.0)
    assert list(without.networks) == ["generator"]
    (phase,) = without.phases()
    assert not phase.discriminator
    losses, fakes = without.generator_losses(Batch(crops(0), crops(1)), 0)
    assert set(losses) == {"content", "style"}
    assert not fakes


def test_a_picture_keeps_its_own_content_and_has_its_own_style() -> None:
    for statistic in ("features", "structure"):
        losses, _ = only("content", content_statistic=statistic).generator_losses(Batch(crops(0), crops(1)), 0)
        assert list(losses) == ["content"]
        assert losses["content"].item() == 0.0
    one = crops(0)[:1]
    losses, _ = only("style", style_statistic="gram").generator_losses(Batch(one, one), 0)
    assert list(losses) == ["style"]
    assert losses["style"].item() < 1e-10


@pytest.mark.parametrize("statistic", ["gram", "sliced"])
def test_the_style_distance_grows_with_the_difference(statistic: str) -> None:
    style = crops(1)
    found = []
    for step in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        mixed = Batch(style.flip(0).lerp(0.2 * crops(2) + 0.7, step), style)
        losses, _ = only("style", style_statistic=statistic).generator_losses(mixed, 0)
        found.append(losses["style"].item())
    assert 10 * found[0] < found[1] < found[2]


def test_the_style_does_not_move_what_is_asked_of_the_content_structure() -> None:
    """Another palette is free under "structure": grey differences and their scale are all that is left of it."""
    structure = only("content", content_statistic="structure", content_layers=("block2_conv1",))
    content = crops(0)
    recoloured = content.mean(dim=1, keepdim=True) * torch.tensor([0.5, 0.3, 0.1]).view(1, 3, 1, 1)
    asked = structure._content_distance(recoloured, content)
    other = structure._content_distance(crops(3), content)
    assert asked < 0.5 * other


def test_the_extractor_is_in_no_model(tmp_path: Path) -> None:
    trained = recipe()
    trained.generator_losses(Batch(crops(0), crops(1)), 0)
    assert {key.split(".")[0] for key in trained.state_dict()} == {"networks", "adversary"}
    assert {name for name, _ in trained.networks.named_children()} == {"generator", "discriminator"}


def test_vgg19_is_asked_for_in_training_alone(tmp_path: Path) -> None:
    load_extractor.cache_clear()
    asking = recipe(extractor="vgg19", vgg19_weights=tmp_path / "absent.pth", content_layers=("block5_conv2",))
    assert asking.translate(crops(0), Conditions()).shape == (2, 3, 32, 32)
    with pytest.raises(WeightsError, match=r"absent\.pth does not exist"):
        asking.generator_losses(Batch(crops(0), crops(1)), 0)


def test_unknown_layers_are_refused() -> None:
    with pytest.raises(ValidationError, match="content_layers of random_filters must be some of block1_conv1"):
        Config(content_layers=("block3_conv4",))
    assert Config(extractor="vgg19", content_layers=("block3_conv4",))
    with pytest.raises(ValidationError, match=r"style_layers of vgg19 .* got none"):
        Config(extractor="vgg19", style_layers=())


def test_a_batch_without_style_is_refused() -> None:
    with pytest.raises(ValueError, match="perceptual requires style pictures"):
        recipe().generator_losses(Batch(crops(0)), 0)
