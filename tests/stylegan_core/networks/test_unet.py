import pytest
import torch

from stylegan_core.networks.unet import UnetGenerator


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("levels", [1, 2, 5, 7])
@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
def test_takes_pictures_of_any_size(levels: int, norm: str) -> None:
    torch.manual_seed(0)
    network = UnetGenerator(4, levels, norm=norm, dropout=0.5)
    for size in ((32, 32), (37, 50), (1, 3)):
        result = network(picture(*size))
        assert result.shape[-2:] == size
        assert result.isfinite().all()
        assert result.abs().max() <= 1
        result.sum().backward()
    used = [name for name, parameter in network.named_parameters() if parameter.grad is not None]
    assert used == [name for name, _ in network.named_parameters()]


def test_tiles_are_exact_without_norm_layers() -> None:
    torch.manual_seed(0)
    network = UnetGenerator(4, 2, norm="none", output="residual").eval()
    halo = 32
    content = picture(32, 80)
    with torch.no_grad():
        whole = network(content)
        left = network(content[..., : 40 + halo])[..., :40]
        right = network(content[..., 40 - halo :])[..., halo:]
    torch.testing.assert_close(torch.cat([left, right], dim=-1), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("anti_aliased", "reach_px"), [(False, 8), (True, 12)])
def test_every_size_has_a_way_to_the_result_of_its_own(anti_aliased: bool, reach_px: int) -> None:
    # A skip connection keeps what the middle cannot: with the middle silenced a single pixel still comes through.
    torch.manual_seed(0)
    network = UnetGenerator(4, 4, norm="none", output="tanh", anti_aliased=anti_aliased).eval()
    for stage in network.down:
        torch.nn.init.zeros_(stage[0].weight)
    content = picture(32, 32)
    changed = content.clone()
    changed[..., 13, 13] = -changed[..., 13, 13]
    touched = (network(content) - network(changed)).abs().sum(dim=1)[0] > 0
    assert touched[13, 13]
    assert touched.sum() <= reach_px**2


def test_constant_pictures_stay_smooth() -> None:
    # A checkerboard would show as a difference between neighbours.
    torch.manual_seed(0)
    result = UnetGenerator(8, 5, norm="none")(torch.full((1, 3, 64, 64), 0.3))
    assert (result - result[..., :1, :1]).abs().max() < 1e-5


def test_the_output_layer_is_fp32_under_autocast() -> None:
    torch.manual_seed(0)
    network = UnetGenerator(4, 2, output="residual")
    torch.nn.init.zeros_(network.to_rgb.weight)
    content = picture(32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(content), content)  # bf16 would round the picture itself


def test_dropout_is_for_training_alone_and_leaves_the_names_of_weights_as_they_are() -> None:
    torch.manual_seed(0)
    network = UnetGenerator(4, 4, dropout=0.5)
    content = picture(32, 32)
    assert not torch.equal(network(content), network(content))
    network.eval()
    assert torch.equal(network(content), network(content))
    assert network.state_dict().keys() == UnetGenerator(4, 4).state_dict().keys()
    # The paper's: the three innermost decoder layers.
    dropping = [any(isinstance(m, torch.nn.Dropout) for m in stage) for stage in UnetGenerator(4, 6, dropout=0.5).up]
    assert dropping == [True, True, True, False, False]


def test_encode_lists_the_stages_it_declares() -> None:
    network = UnetGenerator(4, 5)
    encoded = network.encode(picture(32, 32))
    assert [f.shape[1] for f in encoded] == list(network.stage_channels) == [3, 4, 8, 16, 32, 32]
    assert [f.shape[-1] for f in encoded] == [32, 16, 8, 4, 2, 1]


def test_refuses_no_levels() -> None:
    with pytest.raises(ValueError, match="one level"):
        UnetGenerator(4, 0)
