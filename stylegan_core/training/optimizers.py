"""The optimizers of a phase: one Adam for each parameter group (Kingma and Ba 2014, arXiv 1412.6980)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from stylegan_core.recipes.base import ParameterGroup, Phase

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Role = Literal["generator", "discriminator"]
ROLES: tuple[Role, ...] = ("generator", "discriminator")


@dataclass
class GroupOptimizer:
    """An Adam optimizer and its parameters.

    Attributes:
        role: the step that it belongs to.
        group: networks, base rate, betas.
        parameters: the trainable ones, by "<network>.<parameter>".
        adam: the optimizer as Fabric wraps it.
    """

    role: Role
    group: ParameterGroup
    parameters: dict[str, nn.Parameter]
    adam: Any

    @property
    def name(self) -> str:
        """Unique in a phase, e.g. "generator:generator+heads"."""
        return f"{self.role}:{'+'.join(self.group.networks)}"


class PhaseOptimizers:
    """The optimizers of the current phase.

    Args:
        fabric: wraps the optimizers.
        networks: the recipe's.
        fused: use one kernel for each step; not with fp16, whose scaler needs separate gradients.
    """

    def __init__(self, fabric: Fabric, networks: nn.ModuleDict, fused: bool) -> None:
        self._fabric, self._networks, self._fused = fabric, networks, fused
        # Parameters that are frozen at the start, such as a pretrained part, stay frozen.
        self._trainable = {id(p) for p in networks.parameters() if p.requires_grad}
        self.members: list[GroupOptimizer] = []

    def enter(self, phase: Phase) -> None:
        """Creates the optimizers of ``phase``; a group with the same networks as before keeps its moments.

        Raises:
            ValueError: the phase names a network that the recipe lacks, or one twice.
        """
        _check(phase, self._networks)
        kept = {member.name: member for member in self.members}
        self.members = []
        for role in ROLES:
            groups: tuple[ParameterGroup, ...] = getattr(phase, role)
            for group in groups:
                parameters = {
                    f"{network}.{name}": parameter
                    for network in group.networks
                    for name, parameter in self._networks[network].named_parameters()
                    if id(parameter) in self._trainable
                }
                member = GroupOptimizer(role, group, parameters, None)
                betas = (float(group.betas[0]), float(group.betas[1]))  # torch refuses the int 0
                if member.name in kept:
                    member.adam = kept[member.name].adam
                    for settings in member.adam.param_groups:
                        settings["betas"] = betas
                else:
                    adam = torch.optim.Adam(list(parameters.values()), lr=group.lr, betas=betas, fused=self._fused)
                    member.adam = self._fabric.setup_optimizers(adam)
                self.members.append(member)

    def of(self, role: Role) -> list[GroupOptimizer]:
        """The optimizers of one side's step."""
        return [member for member in self.members if member.role == role]

    def set_lr(self, factor: float) -> None:
        """Sets every rate to its base rate times ``factor``."""
        for member in self.members:
            for settings in member.adam.param_groups:
                settings["lr"] = member.group.lr * factor

    def lr_metrics(self) -> dict[str, float]:
        """The rates in use: learning_rate/<role>, and learning_rate/<role>/<networks> for further groups of a role."""
        rates: dict[str, float] = {}
        for member in self.members:
            name = f"learning_rate/{member.role}"
            rates[f"{name}/{'+'.join(member.group.networks)}" if name in rates else name] = float(
                member.adam.param_groups[0]["lr"]
            )
        return rates

    def require_grad_for(self, role: Role) -> None:
        """Enables gradients for the networks of ``role`` only."""
        chosen = {id(p) for member in self.of(role) for p in member.parameters.values()}
        for parameter in self._networks.parameters():
            if id(parameter) in self._trainable:
                parameter.requires_grad_(id(parameter) in chosen)

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts, "<group>/<parameter>/<moment>"."""
        found: dict[str, Tensor] = {}
        for member in self.members:
            for name, parameter in member.parameters.items():
                for moment, value in member.adam.state.get(parameter, {}).items():
                    found[f"{member.name}/{name}/{moment}"] = value
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what ``tensors`` returned in the same phase."""
        moments: dict[str, dict[str, dict[str, Tensor]]] = {}
        for key, value in tensors.items():
            group, name, moment = key.split("/")
            moments.setdefault(group, {}).setdefault(name, {})[moment] = value
        for member in self.members:
            state = member.adam.optimizer.state_dict()
            own = moments.get(member.name, {})
            state["state"] = {i: own[name] for i, name in enumerate(member.parameters) if name in own}
            member.adam.optimizer.load_state_dict(state)


def _check(phase: Phase, networks: nn.ModuleDict) -> None:
    for role in ROLES:
        named = [name for group in getattr(phase, role) for name in group.networks]
        unknown = [name for name in named if name not in networks]
        if unknown:
            raise ValueError(f"phase {phase.name!r} trains {unknown[0]!r}, which is not a network of the recipe")
        if len(set(named)) < len(named):
            raise ValueError(f"phase {phase.name!r} names a network twice for the {role}")
