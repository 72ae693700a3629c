from typing import Any

import pytest
from pydantic import ValidationError

from stylegan_core.networks.local_generators import LocalGenerators
from stylegan_core.networks.resnet import ResnetGenerator
from stylegan_core.networks.shared_stem import SharedStem
from stylegan_core.networks.unet import UnetGenerator
from stylegan_core.recipes.translator import TranslatorConfig

SMALL = {"crop_px": 64, "channels": 4, "blocks": 1, "discriminator_channels": 4}


def test_a_unet_shrinks_crops_to_a_pixel_unless_told_otherwise() -> None:
    assert [TranslatorConfig(crop_px=side, generator="unet").levels() for side in (64, 100, 256, 512)] == [6, 6, 8, 8]
    assert TranslatorConfig(crop_px=64, unet_levels=3).levels() == 3
    with pytest.raises(ValidationError, match="unet_levels"):
        TranslatorConfig(crop_px=64, generator="unet", unet_levels=7)


def test_crops_must_survive_the_generator() -> None:
    with pytest.raises(ValidationError, match="crop_px"):
        TranslatorConfig(crop_px=24, downsamplings=4)
    with pytest.raises(ValidationError, match="local_generators"):
        TranslatorConfig(crop_px=32, local_generators=8, discriminator_layers=1)


def test_builds_what_is_asked_for() -> None:
    assert isinstance(TranslatorConfig(**SMALL).build_generator(), ResnetGenerator)
    assert isinstance(TranslatorConfig(**SMALL, generator="unet").build_generator(), UnetGenerator)
    local = TranslatorConfig(**SMALL, local_generators=3).build_generator()
    assert isinstance(local, LocalGenerators)
    assert len(local.locals) == 9
    sharing = TranslatorConfig(**SMALL, shared_stem=True)
    assert isinstance(sharing.build_discriminator_for(sharing.build_generator(), in_channels=6), SharedStem)
    assert not isinstance(TranslatorConfig(**SMALL).build_discriminator_for(local), SharedStem)


def test_a_resnet_sees_waves_beside_the_picture() -> None:
    first = TranslatorConfig(**SMALL, fourier_features=4).build_generator().get_parameter("stem.1.weight")
    assert first.shape[1] == 3 + 2 * 4


@pytest.mark.parametrize("settings", [{"generator": "unet"}, {"shared_stem": True, "discriminator_layout": "patch"}])
def test_waves_are_refused_where_no_layer_can_see_them(settings: Any) -> None:
    with pytest.raises(ValidationError, match="fourier_features does not work with"):
        TranslatorConfig(**SMALL | settings, fourier_features=4)
    assert TranslatorConfig(**SMALL | settings, fourier_features=0)
