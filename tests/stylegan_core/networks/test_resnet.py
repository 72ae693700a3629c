import pytest
import torch

from stylegan_core.networks.resnet import Padding, ResnetGenerator, convolution


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_tiles_are_exact_without_norm_layers() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 2).eval()
    halo = 32
    content = picture(96, 160)
    with torch.no_grad():
        whole = network(content)
        left = network(content[..., : 80 + halo])[..., :80]
        right = network(content[..., 80 - halo :])[..., halo:]
    torch.testing.assert_close(torch.cat([left, right], dim=-1), whole, atol=1e-6, rtol=0)


def test_starts_near_the_identity_with_a_residual_output() -> None:
    torch.manual_seed(0)
    content = picture(64, 64)
    change = ResnetGenerator()(content) - content
    assert 0 < change.abs().mean() < 0.3


def test_constant_pictures_stay_smooth_under_every_resampling() -> None:
    # A checkerboard would show as a difference between neighbours, away from the border.
    torch.manual_seed(0)
    for unshuffle in (1, 2):
        result = ResnetGenerator(8, 2, unshuffle=unshuffle)(torch.full((1, 3, 64, 64), 0.3))
        assert (result - result[..., :1, :1]).abs().max() < 1e-5


def test_the_output_layer_is_fp32_under_autocast() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1)
    torch.nn.init.zeros_(network.to_rgb.weight)
    content = picture(32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(content), content)  # bf16 would round the picture itself


def test_the_output_layer_is_fp32_in_evaluation_alone() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1)
    with torch.autocast("cpu", torch.bfloat16):
        trained, evaluated = network(picture(32, 32)), network.eval()(picture(32, 32))
    assert trained.dtype == evaluated.dtype == torch.float32
    assert not torch.equal(trained, evaluated)
    torch.testing.assert_close(trained, evaluated, rtol=0.0, atol=0.02)


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zeros"])
def test_padding_under_autocast_changes_nothing_but_its_precision(padding: Padding) -> None:
    torch.manual_seed(0)
    ours = convolution(4, 6, 3, padding, stride=2)
    torchs = torch.nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode=padding)
    torchs.load_state_dict(ours.state_dict())
    seen = torch.rand(2, 4, 9, 8)
    assert torch.equal(ours(seen), torchs(seen))
    results = []
    for layer in (ours, torchs):
        given = seen.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            result = layer(given)
        result.float().square().mean().backward()
        results.append([result, given.grad, layer.weight.grad])
    assert results[0][0].dtype == torch.bfloat16
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=0.02, atol=2e-3)


def test_encode_lists_the_stages_it_declares() -> None:
    network = ResnetGenerator(4, 3, downsamplings=2, norm="instance", output="tanh", skips=False)
    encoded = network.encode(picture(32, 32))
    assert [f.shape[1] for f in encoded] == list(network.stage_channels) == [3, 4, 8, 16, 16, 16, 16]
    assert [f.shape[-1] for f in encoded] == [32, 32, 16, 8, 8, 8, 8]
    assert network(picture(32, 32)).abs().max() <= 1


def test_known_features_give_the_same_picture_and_encoding_can_stop_early() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 2)
    # In the layout that the network itself uses: another one has other kernels, with other last bits on some CPUs.
    content = (torch.rand(2, 3, 32, 32) * 2 - 1).contiguous(memory_format=torch.channels_last)
    encoded = network.encode(content)
    assert torch.equal(network(content, encoded), network(content))
    assert [torch.equal(a, b) for a, b in zip(network.encode(content, 2), encoded[:3], strict=True)] == [True] * 3


def test_refuses_even_kernels() -> None:
    with pytest.raises(ValueError, match="odd"):
        ResnetGenerator(stem_px=4)


def test_batch_norm_keeps_statistics_for_inference() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1, norm="batch", output="tanh")
    for seed in range(20):
        network(picture(32, 32, seed))
    network.eval()
    with torch.no_grad():
        alone, beside = picture(32, 32), torch.cat([picture(32, 32), 3 * picture(32, 32, 1)])
        torch.testing.assert_close(network(beside)[:1], network(alone))  # others in the batch change nothing


def test_dropout_is_for_training_alone_and_leaves_the_names_of_weights_as_they_are() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 2, dropout=0.5, residual_gain=1.0)
    content = picture(32, 32)
    assert not torch.equal(network(content), network(content))
    network.eval()
    assert torch.equal(network(content), network(content))
    assert network.state_dict().keys() == ResnetGenerator(4, 2).state_dict().keys()
