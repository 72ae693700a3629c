import torch

from stylegan_core.networks.guide import GuideGate, towards_guide, with_guide
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


def gate(bias: float) -> GuideGate:
    made = GuideGate(2).eval()
    with torch.no_grad():
        made.predict.bias.fill_(bias)
    return made


def test_the_gate_follows_the_confidence_at_the_start() -> None:
    shares = []
    for confidence in (0.0, 0.5, 1.0):
        content = guided_input(confidence)
        picture = torch.zeros(1, 3, 32, 40)
        content[:, 3:6] = 1.0
        shares.append(GuideGate(2)(picture, content, torch.rand(1, 2, 32, 40)).mean().item())
    assert shares[0] < 0.01
    assert 0.6 < shares[1] < 0.9
    assert shares[2] > 0.97


def test_the_gate_can_refuse_a_trusted_guide_but_not_take_a_missing_one() -> None:
    picture, features = torch.rand(1, 3, 32, 40), torch.rand(1, 2, 32, 40)
    refused = gate(-12.0)(picture, guided_input(1.0), features)
    torch.testing.assert_close(refused, picture, atol=1e-3, rtol=0)
    taken = gate(4.0)(picture, guided_input(1.0), features)
    torch.testing.assert_close(taken, guided_input(1.0)[:, 3:6], atol=2e-2, rtol=0)
    missing = gate(0.0)(picture, guided_input(0.0), features)
    torch.testing.assert_close(missing, picture, atol=2e-2, rtol=0)


def test_a_guided_generator_starts_at_the_guide_and_takes_a_picture_alone() -> None:
    torch.manual_seed(0)
    network = ResnetGenerator(4, 1, mixing_taps=3, in_channels=7).eval()
    with torch.no_grad():
        network.to_rgb.weight.zero_()
        content = guided_input(1.0)
        # Not mixed: strokes stay sharp. A fiftieth of the picture is left, so that the network can choose it.
        torch.testing.assert_close(network(content), content[:, 3:6], atol=0.05, rtol=0)
        torch.testing.assert_close(network(content[:, :3]), network(with_guide(content[:, :3])))


def test_a_result_goes_towards_the_guide_by_its_confidence() -> None:
    content = torch.rand(2, 7, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    content[:, 6, :4], content[:, 6, 4:] = -1.0, 1.0
    content[:, 3:6] = content[:, 3:6, :1, :1]  # even colours: a mean has no contrast to lose
    made = torch.full((2, 3, 8, 8), 0.25)
    nearer = towards_guide(made, content, 0.75)
    torch.testing.assert_close(nearer[..., :4, :], made[..., :4, :])
    torch.testing.assert_close(nearer[..., 4:, :], 0.25 * made[..., 4:, :] + 0.75 * content[:, 3:6, 4:])
    torch.testing.assert_close(towards_guide(made, content, 1.0)[..., 4:, :], content[:, 3:6, 4:])
    content[:, 6] = 0.0  # half as sure: a quarter of the share
    torch.testing.assert_close(towards_guide(made, content, 0.75), 0.8125 * made + 0.1875 * content[:, 3:6])
    assert towards_guide(made, content, 0.0) is made
    assert towards_guide(made, content[:, :3], 0.75) is made
