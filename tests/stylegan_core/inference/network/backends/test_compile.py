"""Every back end gives torch's pictures, at any size, and says what it lacks."""

from __future__ import annotations

import pytest
import torch

from stylegan_core.inference.network.backends import compile as module
from stylegan_core.inference.network.backends.compile import BackEndError, runner
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.keyframe import Config, Recipe


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    torch.manual_seed(0)
    made = Recipe(Config(channels=8, blocks=1, guide=False)).eval().requires_grad_(False)
    for parameter in made.parameters():  # the change it begins with is too small to be told from none
        parameter.mul_(1.5)
    return made


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    made = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return made.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("back_end", ["openvino", "onnxruntime"])
def test_converted_networks_agree_at_every_size_and_count(recipe: Recipe, back_end: module.BackEnd) -> None:
    run, plain = runner(recipe, Conditions(), back_end, "fp32"), runner(recipe, Conditions(), "torch", "fp32")
    for content in (pictures(1, 40, 64), pictures(3, 64, 48), pictures(1, 40, 64)):
        expected, made = plain(content), run(content)
        assert made.shape == expected.shape
        assert made.dtype == torch.float32
        assert (expected - content).abs().mean() > 0.01
        assert (made - expected).abs().max() < 1e-4


def test_reduced_precision_is_as_exact_as_torchs_own(recipe: Recipe) -> None:
    content = pictures(1, 64, 64)
    exact = runner(recipe, Conditions(), "torch", "fp32")(content)
    reduced = runner(recipe, Conditions(), "openvino", "bf16")(content)
    torchs = runner(recipe, Conditions(), "torch", "bf16")(content)
    assert 0 < (reduced - exact).square().mean() < 1.5 * (torchs - exact).square().mean()
    assert reduced.unique().numel() > 0.9 * exact.unique().numel()  # the last layer is not rounded to bf16's codes


def test_answers_are_not_overwritten_by_the_next_picture(recipe: Recipe) -> None:
    run = runner(recipe, Conditions(), "openvino", "fp32")
    first = run(pictures(1, 40, 48))
    kept = first.clone()
    run(-pictures(1, 40, 48))
    assert torch.equal(first, kept)


def test_what_cannot_run_says_why(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackEndError, match="openvino supports precision fp32 or bf16, not fp16"):
        runner(recipe, Conditions(), "openvino", "fp16")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackEndError, match="pip install openvino"):
        runner(recipe, Conditions(), "openvino", "fp32")
