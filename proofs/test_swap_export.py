"""A swap on trained features as ONNX: too slow for the tests, since torch traces the trunk for a minute or two."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from stylegan_core.inference.export.onnx_graph import build_graph
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.swap import Config, Recipe
from tests.tiny import tiny_sizes

FEATURES = {"texture_trunk": True, "colour_matched": True, "fourier_features": 2, "fine_structure_channels": 2}


def signed(seed: int, count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.timeout(1200)
def test_it_needs_nothing_else_and_takes_any_number_of_references(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = Recipe(Config(**(tiny_sizes(Config) | FEATURES))).eval()
    recipe.networks["encoder"].load_trunk()  # type: ignore[operator]
    graph = build_graph(SimpleNamespace(recipe=recipe, folder=tmp_path), "forward", ())  # type: ignore[arg-type]
    session = onnxruntime.InferenceSession(graph.content, providers=["CPUExecutionProvider"])
    for references in (1, 3):
        content, styles = signed(0, 1, 40, 64), signed(1, references, 72, 56)
        weights, strength = torch.full((references,), 1 / references), torch.tensor(0.7)
        feed = {"content": content, "styles": styles, "style_weights": weights, "strength": strength}
        (made,) = session.run(None, {name: value.numpy() for name, value in feed.items()})
        with torch.no_grad():
            given = Conditions(styles=styles, style_weights=weights, strength=0.7)
            expected = recipe.translate(content, given).numpy()
        assert np.abs(made - expected).max() < 1e-4
