import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from stylegan_core.data.batch import Batch
from stylegan_core.recipes.cut import Config, Recipe

SIZES = {
    "channels": 4,
    "blocks": 2,
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "projection_width": 8,
    "nce_patches": 4096,
}


def build(**settings: object) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(SIZES | settings)))


def crops(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def encoder_calls(recipe: Recipe) -> list[int]:
    """Pictures in each call of the generator's first layer, from now on."""
    calls: list[int] = []
    recipe.networks["generator"].stem.register_forward_hook(lambda _, given, __: calls.append(len(given[0])))
    return calls


def test_the_papers_preset_has_its_epochs_in_steps() -> None:
    paper = Config(**Recipe.presets["paper"])
    assert paper.budget_steps == paper.lr_decay_end_step == 400 * 1334
    assert paper.lr_decay_start_step == 200 * 1334
    assert (paper.lr_schedule, paper.batch_size) == ("linear", 1)


@pytest.mark.parametrize("mirrored", [False, True])
def test_fast_compares_mirrored_results_with_sources_as_they_are(
    mirrored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build(fast=True, nce_stages=(0, 2), blocks=1, norm="none")
    encoded = encoder_calls(recipe)
    batch = Batch(crops(0), crops(1))
    draw = torch.full((), 0.0 if mirrored else 0.9)
    monkeypatch.setattr(torch, "rand", lambda *_: draw)
    losses, fakes = recipe.generator_losses(batch, 0)
    assert len(encoded) == (3 if mirrored else 2)
    generator, heads = recipe.networks["generator"], recipe.networks["heads"]
    given = batch.content.flip(3) if mirrored else batch.content
    torch.testing.assert_close(fakes["translated"], generator(given))
    stages = (0, 2)
    queries, keys = generator.encode(generator(given)), generator.encode(batch.content)
    values = []
    for head, stage in zip(heads.heads, stages, strict=True):
        query = queries[stage].flip(3) if mirrored else queries[stage]
        for q, k in zip(query, keys[stage], strict=True):
            rows = [F.normalize(head(part.flatten(1).t()), dim=-1) for part in (q, k)]
            values.append(F.cross_entropy(rows[0] @ rows[1].t() / 0.07, torch.arange(len(rows[0]))))
    torch.testing.assert_close(losses["nce"], 10 * torch.stack(values).mean(), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(recipe.fakes(batch, 0)["translated"], generator(given))


def test_no_gradient_flows_into_the_keys() -> None:
    recipe = build(nce_stages=(2,), blocks=1, norm="none")
    sources, encoded = crops(0), [torch.rand(2, 8, 16, 16, requires_grad=True)]
    recipe._nce(crops(1), sources, encoded).mean().backward()
    assert encoded[0].grad is None
    assert recipe.networks["heads"].heads[0][0].weight.grad.abs().sum() > 0


def test_heads_learn_under_autocast() -> None:
    """Autocast casts weights once in a step: those of the keys must not be cast first, without gradients."""
    recipe = build()
    with torch.autocast("cpu", torch.bfloat16):
        losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    losses["nce"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in recipe.networks["heads"].parameters())


def test_stages_are_the_papers() -> None:
    # Layers 0, 4, 8, 12, 16 of its network: pixels, two downsamplings, blocks 1 and 5 of 9.
    assert Config().stages() == (0, 2, 3, 4, 8)
    assert Config(blocks=1).stages() == (0, 2, 3, 4)
    with pytest.raises(ValidationError, match="nce_stages"):
        Config(blocks=1, nce_stages=(0, 5))


def test_fast_is_a_preset_that_explicit_weights_override() -> None:
    assert Config().weights() == (0.5, 0.5)  # half the sum of both terms
    assert Config(fast=True).weights() == (10.0, 0.0)
    assert Config(fast=True, nce_weight=3.0, identity_nce_weight=0.5).weights() == (3.0, 0.5)


def test_single_image_has_defaults_of_its_own_that_explicit_settings_override() -> None:
    single = Config(single_image=True)
    assert single.r1_gamma > 0
    assert single.crop_px == 64
    assert single.weights() == (2.0, 2.0)
    assert single.l1_identity_weight() == 1.0
    assert Config().l1_identity_weight() == 0.0
    assert Recipe.needs_with(single).zoom_min < 1.0 == Recipe.needs_with(Config()).zoom_min
    chosen = Config(single_image=True, crop_px=96, r1_gamma=3.0, zoom_min=0.7, nce_weight=2.0, identity_weight=0.0)
    assert (chosen.crop_px, chosen.r1_gamma, chosen.zoom(), chosen.weights()[0]) == (96, 3.0, 0.7, 2.0)
    assert chosen.l1_identity_weight() == 0.0
    with pytest.raises(ValidationError, match="r1_gamma"):
        Config(single_image=True, r1_gamma=0.0)
    assert Config(**single.model_dump()) == single  # as a model's card has it


def test_single_image_penalizes_the_discriminator_and_keeps_style_as_it_is() -> None:
    recipe = build(single_image=True, crop_px=32, batch_size=2)
    style = crops(1)
    losses, fakes = recipe.generator_losses(Batch(crops(0), style), 0)
    assert set(losses) == {"adversarial", "nce", "identity_nce", "identity"}
    torch.testing.assert_close(losses["identity"], (recipe.networks["generator"](style) - style).abs().mean())
    of_discriminator = recipe.discriminator_losses(
        Batch(crops(0), style), {"translated": fakes["translated"].detach()}, 0
    )
    assert set(of_discriminator) == {"discriminator", "discriminator_r1"}
    assert of_discriminator["discriminator_r1"] > 0


def test_nce_is_the_cross_entropy_between_result_and_content() -> None:
    recipe = build(nce_stages=(2,), nce_weight=2.0, blocks=1, norm="none")
    encoded = encoder_calls(recipe)
    batch = Batch(crops(0), crops(1))
    losses, fakes = recipe.generator_losses(batch, 0)

    def vectors(pictures: torch.Tensor) -> torch.Tensor:
        rows = recipe.networks["generator"].encode(pictures)[2].flatten(2).transpose(1, 2)
        return F.normalize(recipe.networks["heads"].heads[0](rows), dim=-1)

    # More patches are asked for than there are: all positions take part, and their order makes no difference.
    expected = [
        F.cross_entropy(q @ k.t() / 0.07, torch.arange(len(q)))
        for q, k in zip(vectors(fakes["translated"]), vectors(batch.content), strict=True)
    ]
    assert encoded[:2] == [4, 4]  # content and style together, once on the way to the result, and the results
    torch.testing.assert_close(losses["nce"], 2 * sum(expected) / 2, atol=1e-4, rtol=1e-4)
    assert set(losses) == {"adversarial", "nce", "identity_nce"}


def test_fast_has_no_identity_term_and_translates_content_alone() -> None:
    recipe = build(fast=True)
    losses, fakes = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert set(losses) == {"adversarial", "nce"}
    assert fakes["translated"].shape == (2, 3, 32, 32)
    assert losses["nce"].item() < 10 * 2 * math.log(1024)


def test_patches_come_from_torchs_generator() -> None:
    recipe = build(nce_patches=8)
    batch = Batch(crops(0), crops(1))
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(recipe.generator_losses(batch, 0)[0]["nce"].item())
    assert values[0] == values[1] != values[2]


def test_it_trains_without_norm_layers_on_a_residual_output() -> None:
    recipe = build(norm="none", output="residual", discriminator_norm="spectral")
    losses, _ = recipe.generator_losses(Batch(crops(0), crops(1)), 0)
    assert all(v.isfinite() for v in losses.values())


def test_needs_style() -> None:
    with pytest.raises(ValueError, match="has none"):
        build().generator_losses(Batch(crops(0)), 0)
