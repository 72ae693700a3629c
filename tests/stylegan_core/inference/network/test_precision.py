import numpy as np
import torch

from stylegan_core.inference.network import precision
from stylegan_core.inference.network.device import choose_device


def test_auto_is_bf16_only_where_hardware_has_it_and_the_picture_stays(tiny_model, monkeypatch):
    recipe = tiny_model.recipe
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    assert precision.choose_precision(recipe, "auto") == "bf16"
    monkeypatch.setattr(precision, "LARGEST_DIFFERENCE_UNIT", 0.0)
    assert precision.choose_precision(recipe, "auto") == "fp32"
    monkeypatch.undo()
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert precision.choose_precision(recipe, "auto") == "fp32"
    assert precision.choose_precision(recipe, "bf16") == "bf16"


def test_the_difference_is_the_root_mean_square_on_the_probe(tiny_model):
    probe = torch.from_numpy(precision.probe_input(tiny_model.recipe)).permute(2, 0, 1)[None] * 2 - 1
    from stylegan_core.recipes.base import Conditions

    with torch.inference_mode():
        exact = tiny_model.recipe.translate(probe, Conditions())
        with torch.autocast("cpu", torch.bfloat16):
            rounded = tiny_model.recipe.translate(probe, Conditions())
    expected = ((rounded.float() - exact) / 2).square().mean().sqrt().item()
    assert np.isclose(precision.bf16_difference_unit(tiny_model.recipe), expected, rtol=1e-3)
    assert 0 < expected < 0.01


def test_the_probe_never_changes():
    probe = precision.probe_unit()
    assert probe.shape == (96, 96, 3)
    assert probe.dtype == np.float32
    assert np.array_equal(probe, precision.probe_unit())
    assert probe.min() >= 0
    assert probe.max() <= 1
    assert probe.std() > 0.2


def test_hardware_is_asked_by_device():
    assert precision.has_bf16("mps") is False
    assert isinstance(precision.has_bf16("cpu"), bool)
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda", "mps")
