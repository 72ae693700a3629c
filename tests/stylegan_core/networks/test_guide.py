import torch

from stylegan_core.networks.guide import base_of, with_guide
from stylegan_core.networks.resnet import ResnetGenerator


def guided_input(confidence: float, seed: int = 0) -> torch.Tensor:
    noise = torch.rand(1, 7, 32, 40, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    noise[:, 6] = 2 * confidence - 1
    return noise


def test_a_picture_alone_is_one_without_a_guide() -> None:
    content = guided_input(0.0)
    padded = with_guide(content[:, :3])
    assert padded.shape == content.shape
    assert torch.equal(padded[:, :3], content[:, :3])
    assert (padded[:, 3:6] == 0).all()
    assert (padded[:, 6] == -1).all()
    assert with_guide(padded) is padded


def test_the_base_is_the_guide_by_its_confidence() -> None:
    for confidence in (0.0, 0.25, 1.0):
        content = guided_input(confidence)
        expected = content[:, :3] * (1 - confidence) + content[:, 3:6] * confidence
        torch.testing.assert_close(base_of(content), expected)
    assert torch.equal(base_of(content[:, :3]), content[:, :3])


def test_a_guided_generator_starts_at_the_guide_and_takes_a_picture_alone() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1, mixing_taps=3, in_channels=7).eval()
    with torch.no_grad():
        network.to_rgb.weight.zero_()
        content = guided_input(1.0)
        torch.testing.assert_close(network(content), content[:, 3:6])  # not mixed: strokes stay sharp
        torch.testing.assert_close(network(content[:, :3]), network(with_guide(content[:, :3])))
