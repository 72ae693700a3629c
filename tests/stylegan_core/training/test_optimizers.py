import pytest
import torch
from torch import nn

from stylegan_core.recipes.base import ParameterGroup, Phase
from stylegan_core.training.hardware import make_fabric
from stylegan_core.training.optimizers import PhaseOptimizers

G = ParameterGroup(("generator",), 1e-2, (0, 0.9))
D = ParameterGroup(("discriminator",), 2e-2, (0.5, 0.9))
H = ParameterGroup(("head",), 3e-2, (0.5, 0.9))


def networks():
    torch.manual_seed(0)
    made = {"generator": nn.Linear(2, 2), "discriminator": nn.Linear(2, 1), "head": nn.Linear(2, 2)}
    made["head"].bias.requires_grad_(False)  # pretrained, say
    return nn.ModuleDict(made)


def optimizers(nets):
    return PhaseOptimizers(make_fabric("cpu", 1, "fp32"), nets, fused=True)


def descend(nets, made, role):
    made.require_grad_for(role)
    loss = nets["discriminator"](nets["head"](nets["generator"](torch.ones(1, 2)))).sum()
    loss.backward()
    for member in made.of(role):
        member.adam.step()
        member.adam.zero_grad()


def test_a_phase_keeps_moments_of_groups_that_go_on_and_starts_others_fresh():
    nets = networks()
    made = optimizers(nets)
    made.enter(Phase("one", 5, (G,), (D,)))
    descend(nets, made, "generator")
    descend(nets, made, "discriminator")
    before = {k: v.clone() for k, v in made.tensors().items()}
    assert {k.split("/")[0] for k in before} == {"generator:generator", "discriminator:discriminator"}
    made.enter(Phase("two", None, (G, H)))
    after = made.tensors()
    assert {k.split("/")[0] for k in after} == {"generator:generator"}  # the head has no moments yet
    assert all(torch.equal(before[k], after[k]) for k in after)
    assert [m.name for m in made.members] == ["generator:generator", "generator:head"]


def test_gradients_reach_the_side_that_steps_and_frozen_parameters_stay_frozen():
    nets = networks()
    made = optimizers(nets)
    made.enter(Phase("all", None, (G, H), (D,)))
    made.require_grad_for("generator")
    assert {n for n, p in nets.named_parameters() if p.requires_grad} == {
        "generator.weight",
        "generator.bias",
        "head.weight",
    }
    made.require_grad_for("discriminator")
    assert {n for n, p in nets.named_parameters() if p.requires_grad} == {"discriminator.weight", "discriminator.bias"}


def test_saved_moments_continue_as_if_never_saved():
    straight, resumed = networks(), networks()
    one, two = optimizers(straight), optimizers(resumed)
    phase = Phase("all", None, (G, H), (D,))
    for made, nets in ((one, straight), (two, resumed)):
        made.enter(phase)
        for role in ("generator", "discriminator"):
            descend(nets, made, role)
    saved = {k: v.clone() for k, v in two.tensors().items()}
    fresh = optimizers(resumed)
    for parameter in resumed.parameters():
        parameter.requires_grad_(True)
    resumed["head"].bias.requires_grad_(False)
    fresh = optimizers(resumed)
    fresh.enter(phase)
    fresh.load(saved)
    for made, nets in ((one, straight), (fresh, resumed)):
        made.set_lr(0.5)
        for role in ("generator", "discriminator"):
            descend(nets, made, role)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rates_follow_the_factor():
    made = optimizers(networks())
    made.enter(Phase("all", None, (G, H), (D,)))
    made.set_lr(0.25)
    assert made.lr_metrics() == {
        "learning_rate/generator": 2.5e-3,
        "learning_rate/generator/head": 7.5e-3,
        "learning_rate/discriminator": 5e-3,
    }


def test_wrong_phases_are_named():
    made = optimizers(networks())
    with pytest.raises(ValueError, match="'mapping', which is not a network"):
        made.enter(Phase("p", None, (ParameterGroup(("mapping",), 1e-3, (0.0, 0.9)),)))
    with pytest.raises(ValueError, match="twice"):
        made.enter(Phase("p", None, (G, G)))
