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
