from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torchvision.models import VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from stylegan_core.features.vgg import LAYERS, Vgg19, load_vgg19
from stylegan_core.features.weights import WeightsError

# Where torchvision's own numbering puts each layer's ReLU; the names are those of the papers.
RELU_PLACES = {
    "block1_conv1": 1, "block1_conv2": 3, "block2_conv1": 6, "block2_conv2": 8,
    "block3_conv1": 11, "block3_conv4": 17, "block4_conv1": 20, "block4_conv4": 26,
    "block5_conv1": 29, "block5_conv2": 31, "block5_conv4": 35,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_layers(cfgs["E"])  # VGG19's, without the classifier's 120 million weights


@pytest.fixture(scope="module")
def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {f"features.{name}": tensor for name, tensor in model.state_dict().items()}


def test_layers_are_those_of_torchvision(model: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    assert len(LAYERS) == 16
    pictures = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor(VGG19_Weights.IMAGENET1K_V1.transforms().mean).view(1, 3, 1, 1)
    deviation = torch.tensor(VGG19_Weights.IMAGENET1K_V1.transforms().std).view(1, 3, 1, 1)
    found = Vgg19(weights)(pictures * 2 - 1, list(RELU_PLACES))
    with torch.no_grad():
        for name, place in RELU_PLACES.items():
            expected = model[: place + 1]((pictures - mean) / deviation)  # type: ignore[index]
            assert found[name].shape == expected.shape
            torch.testing.assert_close(found[name], expected, atol=1e-4, rtol=1e-3)


def test_weights_are_read_from_both_formats(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    # The features alone, without the classifier and the prefix, will do.
    bare = {name.removeprefix("features."): tensor.contiguous() for name, tensor in weights.items()}
    safetensors.torch.save_file(bare, tmp_path / "vgg.safetensors")
    torch.save(weights, tmp_path / "vgg.pth")
    picture = torch.zeros(1, 3, 32, 32)
    expected = Vgg19(weights)(picture, ["block2_conv2"])["block2_conv2"]
    for name in ("vgg.safetensors", "vgg.pth"):
        assert torch.equal(load_vgg19(tmp_path / name)(picture, ["block2_conv2"])["block2_conv2"], expected)


def test_nothing_of_it_is_trained_or_saved(weights: dict[str, Tensor]) -> None:
    extractor = Vgg19(weights)
    assert not list(extractor.parameters())
    assert not extractor.state_dict()


def test_what_is_no_vgg19_is_refused(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        load_vgg19(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(WeightsError, match="is not a state dict that can be read safely"):
        load_vgg19(tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="contains list, expected a state dict"):
        load_vgg19(tmp_path / "list.pth")
    with pytest.raises(WeightsError, match=r"features\.0\.weight is missing"):
        Vgg19({})
    with pytest.raises(WeightsError, match=r"features\.0\.bias has shape \(3,\), expected \(64,\)"):
        Vgg19({**weights, "features.0.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="no layer 'block1_conv3'"):
        Vgg19(weights)(torch.zeros(1, 3, 32, 32), ["block1_conv3"])


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return Path.touch, (Path(tmp_path / "sprung"),)  # type: ignore[return-value]

    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match="read safely"):
        load_vgg19(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_without_internet_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("<urlopen error no route>")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(WeightsError, match=r"no route.*vgg19-dcbb9e9d\.pth.*name the file.*random_filters"):
        load_vgg19()
