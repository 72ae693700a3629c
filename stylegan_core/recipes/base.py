"""The recipe contract: what a recipe declares so that no stage needs a special case for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from torch import Tensor, nn

from stylegan_core.choices import Direction, ExtractorName, ZoomFilter
from stylegan_core.data.batch import Batch
from stylegan_core.networks.guide import GUIDED_CHANNELS, PICTURE_CHANNELS

Losses = dict[str, Tensor]
"""Scalar terms, already weighted: the objective is their sum."""

Fakes = dict[str, Tensor]
"""Outputs of the generator for the discriminator step, by name, (N, 3, H, W) in [-1, 1]."""


Preset = Literal["two_cores", "one_gpu", "paper"]
"""Settings for a machine: minutes on two CPU cores, hours on one GPU, and the paper's."""


SettingValue = bool | int | float | str | tuple[str, ...] | None
"""A value of a setting, as a recipe states it."""

Presets = dict[Preset, dict[str, SettingValue]]
"""Settings that differ from the defaults, by machine."""


class Kind(Enum):
    """Whether a recipe translates pictures or generates them from noise."""

    TRANSLATE = "translate"
    SYNTHESIZE = "synthesize"


@dataclass(frozen=True)
class Needs:
    """The training data of a recipe, for prepare and the batch sampler.

    Attributes:
        content: pictures of the content domain.
        style: pictures of the style domain.
        paired: content and style are the same picture before and after; crops are aligned.
        unpainted: further content crops without style (``Batch.unpainted``), where the data has any.
        labels: names of the attributes that ``Batch.labels`` holds for the content, in this order.
        known_fraction: share of the data's pairs that is known (``Batch.known_content`` and ``known_style``), for weak
            supervision of an unpaired recipe; which pairs depends on their names alone.
        zoom_min: crops are cut up to this much smaller, and enlarged to ``crop_px``; 1 is off.
        content_filter: how content crops are enlarged.
        mirror: half of the crops are mirrored.
        guided: each crop of a shot has the guide that its frame would have in use (``Batch.guide``).
    """

    content: bool = True
    style: bool = True
    paired: bool = False
    unpainted: bool = False
    labels: tuple[str, ...] = ()
    known_fraction: float = 0.0
    zoom_min: float = 1.0
    content_filter: ZoomFilter = "linear"
    mirror: bool = True
    guided: bool = False


@dataclass(frozen=True)
class BeforeItExisted:
    """Marks a setting, in ``Annotated``, whose default is not what models did that were trained before it existed.

    Attributes:
        value: that reproduces those models; it is used where a model card lacks the setting.
    """

    value: SettingValue


class RecipeConfig(BaseModel):
    """Settings that every recipe has; a recipe's ``Config`` adds its own and may change defaults.

    Schedules are in absolute steps, so that a larger budget continues a run and does not change its past.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_steps: int = Field(2000, ge=1, description="generator steps; a larger value continues a finished run")
    budget_images: int | None = Field(
        None, ge=1, description="budget in training crops instead of steps; takes precedence"
    )
    crop_px: int = Field(64, ge=16, description="side of the training crops")
    batch_size: int = Field(8, ge=1)
    accumulate_batches: int = Field(
        1, ge=1, description="batches whose mean gradient makes a step: larger batches than memory holds"
    )
    generator_lr: float = Field(2e-4, gt=0)
    discriminator_lr: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    lr_decay_start_step: int = Field(0, ge=0)
    lr_decay_end_step: int = Field(2000, ge=1)
    discriminator_steps: int = Field(1, ge=1, description="discriminator steps for each generator step")
    r1_gamma: float = Field(0.0, ge=0.0)
    r1_every_steps: int = Field(16, ge=1, description="lazy regularization: the penalty times n, every n steps")
    ema_decay: float = Field(0.999, ge=0.0, lt=1.0, description="decay of the generator's moving average, per step")
    gradient_clip: float = Field(0.0, ge=0.0, description="largest gradient norm; 0: off")
    weight_clip: float = Field(
        0.0, ge=0.0, description="bound of the discriminator's weights, for wasserstein (Arjovsky et al. 2017); 0: off"
    )

    @model_validator(mode="after")
    def _decay_has_a_length(self) -> Self:
        if self.lr_schedule != "constant" and self.lr_decay_end_step <= self.lr_decay_start_step:
            raise ValueError(
                f"lr_decay_end_step ({self.lr_decay_end_step}) must lie after lr_decay_start_step "
                f"({self.lr_decay_start_step}) with lr_schedule {self.lr_schedule}"
            )
        return self

    @classmethod
    def values_before_they_existed(cls) -> dict[str, SettingValue]:
        """The settings that ``BeforeItExisted`` marks, with the value that older models have."""
        fields = cls.model_fields.items()
        marks = [(name, mark) for name, field in fields for mark in field.metadata]
        return {name: mark.value for name, mark in marks if isinstance(mark, BeforeItExisted)}

    @classmethod
    def of_model(cls, settings: Mapping[str, JsonValue]) -> Self:
        """The settings of a trained model, with what it did for every setting that did not exist then.

        A setting that is neither given nor marked by ``BeforeItExisted`` has its default.

        Args:
            settings: of a model card, by name.
        Raises:
            ValidationError: a setting is unknown or out of range.
        """
        return cls.model_validate({**cls.values_before_they_existed(), **settings})

    def fresh_start_warning(self) -> str | None:
        """What the user should be warned of when a training starts without ``init_from``; None: nothing."""
        return None

    def extractors(self) -> tuple[ExtractorName, ...]:
        """Feature extractors that train with these settings: none of them may evaluate the model."""
        return ()

    def total_steps(self, devices: int) -> int:
        """Generator steps of the whole budget, the last of ``budget_images`` in a full step of its own.

        Args:
            devices: processes, each of which has a batch of its own in every step.
        """
        if self.budget_images is None:
            return self.budget_steps
        return -(-self.budget_images // self.images_per_step(devices))

    def images_per_step(self, devices: int) -> int:
        """Training crops of a generator step, of all ``devices`` processes; further discriminator steps use more."""
        return self.batch_size * self.accumulate_batches * devices

    def check_crop(self, *, halvings: int, discriminator_layers: int) -> None:
        """Refuses crops that are too small for a recipe's networks.

        Args:
            halvings: downsamplings of the generator before its blocks, whose padding reflects at least two pixels.
            discriminator_layers: strided layers, followed by two more convolutions; 0: no discriminator.
        Raises:
            ValueError: ``crop_px`` is too small.
        """
        least_px = max(2 * 2**halvings, 3 * 2**discriminator_layers if discriminator_layers else 0)
        if self.crop_px < least_px:
            raise ValueError(
                f"crop_px is {self.crop_px}, but downsamplings and discriminator_layers require {least_px} or more"
            )


@dataclass(frozen=True)
class ParameterGroup:
    """Networks of one optimizer, by their names in ``BaseRecipe.networks``, with its settings."""

    networks: tuple[str, ...]
    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """A part of the training with its own networks, rates and step ratio, such as an L1 warm-up before the GAN.

    Attributes:
        name: shown in the log.
        end_step: first step that no longer belongs to the phase; None is the end of training.
        generator: groups that the generator step updates, projection heads included.
        discriminator: groups that the discriminator step updates; empty: no discriminator step.
        discriminator_steps: discriminator steps for each generator step.
    """

    name: str
    end_step: int | None
    generator: tuple[ParameterGroup, ...]
    discriminator: tuple[ParameterGroup, ...] = ()
    discriminator_steps: int = 1


@dataclass(frozen=True)
class Conditions:
    """Conditions of a translation, in addition to the content.

    Attributes:
        mask_unit: (N, 1, H, W) in [0, 1], where the style applies; None is everywhere.
        styles: (K, 3, H, W) reference pictures in [-1, 1], for recipes that take them at run time.
        style_codes: (K, D) precomputed codes of references, instead of ``styles`` or after them.
        style_weights: (K,) weights of the references, pictures first and then codes, summing to 1.
        labels: (N, L) in [-1, 1], the wanted change of each attribute: 1 adds it, -1 removes it, 0 keeps it.
        strength: interpolation from the content's own style to the target; above 1 it extrapolates.
        direction: "forward" is content to style.
    """

    mask_unit: Tensor | None = None
    styles: Tensor | None = None
    style_codes: Tensor | None = None
    style_weights: Tensor | None = None
    labels: Tensor | None = None
    strength: float = 1.0
    direction: Direction = "forward"


class BaseRecipe(nn.Module):
    """One paper: its networks, losses and phases. Only the trainer calls backward, step, detach and EMA.

    A subclass declares ``config: Config``, fills ``self.networks`` in ``__init__`` and is built as ``Recipe(config)``,
    with torch's global generator seeded by the caller.
    """

    kind: ClassVar[Kind]
    needs: ClassVar[Needs]
    scale: ClassVar[int] = 1
    """Output side over input side."""
    paper: ClassVar[str]
    """Authors, year, arXiv id, shown by ``stylereel recipes``."""
    inference_networks: ClassVar[tuple[str, ...]] = ("generator",)
    """Networks that translate or sample needs: these have an EMA and are the weights of the model."""

    presets: ClassVar[Presets] = {}
    """Settings for a machine that differ from the defaults, shown by ``stylereel recipes``."""
    conditioned_on: ClassVar[tuple[str, ...]] = ()
    """Fields of ``Conditions`` that ``translate`` uses besides the mask: "styles", "labels", "direction"."""

    config: RecipeConfig
    networks: nn.ModuleDict

    def __init__(self, config: RecipeConfig) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleDict()

    @property
    def guided(self) -> bool:
        """Whether ``translate`` takes a guide beside the picture, as channels 3 to 6 (``networks.guide``)."""
        return False

    @property
    def input_channels(self) -> int:
        """Channels of the content that ``translate`` takes: 3, or 7 with a guide."""
        return GUIDED_CHANNELS if self.guided else PICTURE_CHANNELS

    @classmethod
    def needs_with(cls, config: RecipeConfig) -> Needs:  # noqa: ARG003  # for recipes whose settings change it
        """The training data that ``config`` requires; ``needs`` if no setting changes it."""
        return cls.needs

    def set_dataset_size(self, pictures: int | None) -> None:
        """Sets the number of different pictures that the sampler draws from; called once, before the first step.

        The default ignores it. ``AdversarialRecipe`` uses it for augmentation that only small sets need.

        Args:
            pictures: their number; None: unknown.
        """

    def phases(self) -> list[Phase]:
        """The phases in order; the last one has ``end_step`` None.

        By default one: networks named ``discriminator`` or ``..._discriminator`` are stepped as discriminators, all
        others as generators.
        """
        c = self.config
        betas = (c.beta1, c.beta2)
        discriminators = tuple(name for name in self.networks if name.endswith("discriminator"))
        generators = tuple(name for name in self.networks if name not in discriminators)
        generator = (ParameterGroup(generators, c.generator_lr, betas),)
        if not discriminators:
            return [Phase("without a discriminator", None, generator)]
        return [
            Phase(
                "gan",
                None,
                generator,
                (ParameterGroup(discriminators, c.discriminator_lr, betas),),
                c.discriminator_steps,
            )
        ]

    def generator_losses(self, batch: Batch, step: int) -> tuple[Losses, Fakes]:
        """Weighted generator terms, and the fakes for the discriminator step; the trainer detaches them."""
        raise NotImplementedError

    def fakes(self, batch: Batch, step: int) -> Fakes:
        """The fakes of ``generator_losses`` alone, for a discriminator step that no generator step precedes.

        Called without gradients. The default computes all terms of the generator and discards them; a recipe that
        overrides it may draw fewer random numbers.
        """
        return self.generator_losses(batch, step)[1]

    def discriminator_losses(self, batch: Batch, fakes: Fakes, step: int) -> Losses:
        """Weighted discriminator terms for the same batch and detached fakes."""
        raise NotImplementedError

    def translate(self, content: Tensor, conditions: Conditions) -> Tensor:
        """(N, input_channels, H, W) in [-1, 1] to (N, 3, H * scale, W * scale) in [-1, 1] (may overshoot slightly).

        A guided recipe takes (N, 3, H, W) too: a picture without a guide.
        """
        raise NotImplementedError

    def prepare_conditions(self, conditions: Conditions) -> Conditions:
        """Precomputes what ``translate`` needs for many pictures, such as codes of the references.

        Called without gradients, in evaluation mode; the default returns the conditions unchanged.
        """
        return conditions
