import pytest
import torch

from stylegan_core.data.batch import Batch
from stylegan_core.losses.adversarial import generator_loss
from stylegan_core.networks.guide import towards_guide
from stylegan_core.recipes.base import Conditions
from stylegan_core.recipes.keyframe import Config, Recipe

SIZES = {"channels": 4, "blocks": 1, "discriminator_channels": 4, "discriminator_layers": 1, "guide": False}


def build(**settings: object) -> Recipe:
    torch.manual_seed(0)
    return Recipe(Config(**(SIZES | settings)))


def crops(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("adversarial", "share", "drawn"), [(6.0, 0.0, False), (6.0, 0.5, True), (0.0, 0.5, False)])
def test_unpainted_crops_are_drawn_only_where_they_are_used(adversarial: float, share: float, drawn: bool) -> None:
    config = Config(adversarial_weight=adversarial, unpainted_weight=share)
    assert Recipe.needs_with(config).unpainted is drawn


def test_without_the_adversarial_weight_it_is_l1_alone() -> None:
    recipe = build(adversarial_weight=0, unpainted_weight=1.0, warmup_steps=5, l1_weight=3.0)
    (phase,) = recipe.phases()
    assert phase.discriminator == ()
    assert set(recipe.networks) == {"generator"}
    batch = Batch(crops(), crops(seed=1), unpainted=crops(seed=2))
    losses, fakes = recipe.generator_losses(batch, 0)
    assert set(losses) == {"l1"}
    assert fakes == {}
    expected = 3 * (recipe.networks["generator"](batch.content) - batch.style).abs().mean()
    torch.testing.assert_close(losses["l1"], expected)
    other = build(unpainted_weight=1.0).networks["generator"].state_dict()  # starts alike in an ablation
    assert all(torch.equal(v, other[k]) for k, v in recipe.networks["generator"].state_dict().items())


def test_terms_have_their_weights() -> None:
    recipe = build(adversarial_weight=3.0, unpainted_weight=0.5, discriminator_norm="none", l1_weight=7.0)
    batch = Batch(crops(), crops(seed=1), unpainted=crops(3, seed=2))
    losses, fakes = recipe.generator_losses(batch, 0)
    discriminator = recipe.networks["discriminator"]
    output = discriminator(torch.cat([batch.content, fakes["stylized"]], dim=1))
    torch.testing.assert_close(losses["adversarial"], 3 * generator_loss("least_squares", output.logits))
    output = recipe.networks["style_discriminator"](fakes["unpainted"])
    torch.testing.assert_close(losses["adversarial_unpainted"], 1.5 * generator_loss("least_squares", output.logits))
    assert fakes["unpainted"].shape == (3, 3, 32, 32)


def test_the_discriminator_sees_the_real_picture_where_nobody_painted() -> None:
    recipe = build()
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    batch = Batch(crops(), crops(seed=1), mask)
    _, fakes = recipe.generator_losses(batch, 0)
    assert torch.equal(fakes["stylized"][..., 16:], batch.style[..., 16:])
    assert not torch.equal(fakes["stylized"][..., :16], batch.style[..., :16])
    losses, _ = recipe.generator_losses(Batch(batch.content, batch.style, torch.zeros(2, 1, 32, 32)), 0)
    assert losses["l1"].item() == 0


@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_unpainted_content_passes_a_discriminator_where_there_is_any(kind: str) -> None:
    recipe = build(unpainted_weight=1.0, unpainted_judge=kind, r1_gamma=0.1)
    with_unpainted = Batch(crops(), crops(seed=1), unpainted=crops(seed=2))
    without = Batch(crops(), crops(seed=1))
    for batch, expected in ((with_unpainted, True), (without, False)):
        losses, fakes = recipe.generator_losses(batch, 0)
        assert ("adversarial_unpainted" in losses) is expected
        terms = recipe.discriminator_losses(batch, {k: v.detach() for k, v in fakes.items()}, 0)
        assert ("style_discriminator" in terms) is (expected and kind == "unconditional")
        assert all(v.isfinite() for v in terms.values())


def test_warm_up_is_a_phase_of_its_own() -> None:
    recipe = build(warmup_steps=5)
    warm_up, gan = recipe.phases()
    assert (warm_up.end_step, warm_up.discriminator, gan.end_step) == (5, (), None)
    batch = Batch(crops(), crops(seed=1))
    assert set(recipe.generator_losses(batch, 4)[0]) == {"l1"}
    assert set(recipe.generator_losses(batch, 5)[0]) == {"l1", "adversarial"}


def test_r1_is_lazy_and_scaled_by_its_interval() -> None:
    recipe = build(r1_gamma=0.5, r1_every_steps=4, discriminator_norm="none")
    batch = Batch(crops(), crops(seed=1))
    _, fakes = recipe.generator_losses(batch, 0)
    fakes = {k: v.detach() for k, v in fakes.items()}
    losses = [recipe.discriminator_losses(batch, fakes, step) for step in range(5)]
    assert ["discriminator_r1" in terms for terms in losses] == [True, False, False, False, True]
    real = batch.style.clone().requires_grad_()
    output = recipe.networks["discriminator"](torch.cat([batch.content, real], dim=1))
    (gradient,) = torch.autograd.grad(output.logits[0].sum(), real)
    torch.testing.assert_close(losses[0]["discriminator_r1"], 0.25 * 4 * gradient.square().sum() / 2)


def test_needs_style() -> None:
    with pytest.raises(ValueError, match="no style"):
        build().generator_losses(Batch(crops()), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"half_resolution": True, "mixing_taps": 0},
        {"half_resolution": True, "mixing_taps": 0, "guide": True},
        {"half_resolution": True, "mixing_taps": 0, "guide": True, "anti_aliased": False},
        {"mixing_taps": 0},
        {"norm": "instance"},
        {"padding": "replicate"},
        {"mixing_taps": 3, "mixing_step_px": 1},
    ],
)
def test_network_options_train(settings: dict[str, object]) -> None:
    recipe = build(**settings)
    losses, _ = recipe.generator_losses(Batch(crops(), crops(seed=1)), 0)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in recipe.networks["generator"].parameters())


def test_texture_and_feature_terms_vanish_for_the_truth_itself() -> None:
    recipe = build(texture_weight=2.0, feature_matching_weight=3.0, l1_weight=0.0, discriminator_norm="none")
    content = crops()
    made = recipe.networks["generator"](content).detach()
    losses, _ = recipe.generator_losses(Batch(content, made), 0)
    assert losses["texture"].item() == losses["feature_matching"].item() == 0
    losses, _ = recipe.generator_losses(Batch(content, crops(seed=1)), 0)
    assert losses["texture"].item() > 0
    assert losses["feature_matching"].item() > 0


def test_texture_alone_needs_no_discriminator() -> None:
    recipe = build(adversarial_weight=0, texture_weight=1.0, feature_matching_weight=1.0)
    losses, fakes = recipe.generator_losses(Batch(crops(), crops(seed=1)), 0)
    assert set(losses) == {"l1", "texture"}
    assert fakes == {}


@pytest.mark.parametrize("settings", [{"mixing_taps": 4}, {"mixing_taps": 5, "half_resolution": True}])
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mixing"):
        Config(**settings)


def test_with_guide_the_network_takes_seven_channels_or_a_picture_alone() -> None:
    recipe = build(guide=True).eval()
    assert (recipe.guided, recipe.input_channels) == (True, 7)
    assert (build().guided, build().input_channels) == (False, 3)
    content = torch.rand(1, 7, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert recipe.translate(content, Conditions()).shape == (1, 3, 32, 32)
        unguided = recipe.translate(content[:, :3], Conditions(mask_unit=torch.zeros(1, 1, 32, 32)))
    assert torch.equal(unguided, content[:, :3])
    losses, _ = recipe.generator_losses(Batch(crops(), crops(seed=1)), 0)
    assert all(loss.isfinite() for loss in losses.values())


def test_what_the_network_adds_to_a_certain_guide_is_toned_down() -> None:
    recipe = build(guide=True, guide_share=0.75).eval()
    content = torch.rand(1, 7, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    content[:, 6] = 1.0
    with torch.no_grad():
        made = recipe.translate(content, Conditions())
        torch.testing.assert_close(made, towards_guide(recipe.networks["generator"](content), content, 0.75))
    assert Config.of_model({}).guide_share == 0.0, "a model of before has the results that it had"


def test_training_takes_the_batch_s_guides_and_varies_them() -> None:
    recipe = build(guide=True, own_guide_share=0.0, no_guide_share=0.0, unpainted_weight=1.0, discriminator_norm="none")
    guide, unpainted_guide = (torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(s)) for s in (5, 6))
    parts = {"unpainted": crops(seed=2), "guide": guide, "unpainted_guide": unpainted_guide}
    _, fakes = recipe.generator_losses(Batch(crops(), crops(seed=1), **parts), 0)
    generator = recipe.networks["generator"]
    torch.testing.assert_close(fakes["stylized"], generator(torch.cat([crops(), guide], dim=1)))
    torch.testing.assert_close(fakes["unpainted"], generator(torch.cat([crops(seed=2), unpainted_guide], dim=1)))
    recipe = build(guide=True, own_guide_share=0.0, no_guide_share=1.0)
    _, fakes = recipe.generator_losses(Batch(crops(), crops(seed=1), guide=guide), 0)
    torch.testing.assert_close(fakes["stylized"], recipe.networks["generator"](crops()))


def test_guide_settings_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="lower one of them"):
        Config(own_guide_share=0.7, no_guide_share=0.4)
