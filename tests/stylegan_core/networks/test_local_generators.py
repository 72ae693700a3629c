import pytest
import torch
from torch import nn

from stylegan_core.networks.local_generators import LocalGenerators
from stylegan_core.networks.resnet import ResnetGenerator


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Constant(nn.Module):
    """A local generator that wants the same change everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        assert seen.shape[1] == 8
        return torch.full_like(seen[:, :3], self.value)


def build(regions: int) -> LocalGenerators:
    torch.manual_seed(0)
    return LocalGenerators(ResnetGenerator(4, 1), regions, channels=4, blocks=1)


@pytest.mark.parametrize("regions", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(32, 32), (37, 50)])
def test_windows_sum_to_one(regions: int, size: tuple[int, int]) -> None:
    network = build(regions)
    content = picture(*size)
    whole = network.whole(content)
    network.locals = nn.ModuleList(Constant(0.25) for _ in range(regions**2))
    torch.testing.assert_close(network(content), whole + 0.25, atol=1e-6, rtol=0)


def test_each_region_is_its_own_and_changes_smoothly_into_the_next() -> None:
    network = build(2)
    content = picture(64, 64)
    network.locals = nn.ModuleList(Constant(float(i)) for i in range(4))
    change = (network(content) - network.whole(content))[0, 0]
    corners = change[[0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, torch.arange(4.0), atol=1e-5, rtol=0)
    steps = change[0].diff()
    assert steps.min() > -1e-5
    assert steps.max() < 0.12


def test_local_generators_know_where_they_are() -> None:
    seen: list[torch.Tensor] = []

    class Watching(Constant):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(inputs)
            return super().forward(inputs)

    network = build(2)
    network.locals = nn.ModuleList(Watching(0.0) for _ in range(4))
    content = picture(32, 48)
    result = network(content)
    assert [tuple(part.shape[-2:]) for part in seen] == [(20, 30)] * 4
    assert torch.equal(seen[3][:, :3], content[..., 12:, 18:])
    assert torch.equal(seen[3][:, 3:6], result[..., 12:, 18:])
    rows, columns = seen[0][0, 6], seen[3][0, 7]
    torch.testing.assert_close(rows[:, 0], (torch.arange(20) + 0.5) / 16 - 1)
    torch.testing.assert_close(columns[0], (torch.arange(18, 48) + 0.5) / 24 - 1)


def test_every_local_generator_learns_from_its_region_alone() -> None:
    network = build(2)
    result = network(picture(64, 64))
    result[..., :16, :16].sum().backward()  # beyond the reach of the other regions
    learning = [
        any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters()) for part in network.locals
    ]
    assert learning == [True, False, False, False]


def test_is_fp32_under_autocast_and_shows_the_global_features() -> None:
    network = build(2)
    content = picture(37, 50)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(content).dtype == torch.float32
    assert network.stem is network.whole.stem
    padded = picture(32, 32)
    assert [f.shape[1] for f in network.encode(padded)] == list(network.stage_channels)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_an_exported_program_finds_the_regions_of_other_sizes() -> None:
    network = build(2).eval()
    height, width = torch.export.Dim("height", min=4, max=64), torch.export.Dim("width", min=4, max=64)
    shapes = {"content": {2: 8 * height, 3: 8 * width}}
    program = torch.export.export(network, (picture(64, 48),), dynamic_shapes=shapes).module()
    other = picture(40, 72)
    torch.testing.assert_close(program(other), network(other), atol=1e-5, rtol=0)
