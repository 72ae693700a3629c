"""Former defaults of params.yaml, and which values of a user's file still equal one.

A params.yaml names every setting, so a better default of a new version does not reach an existing project by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.project.params_file import example_params, setting_values

Scalar = str | float | bool | None


@dataclass(frozen=True)
class OutdatedDefault:
    """A value that equals a former default. Whether the user chose it on purpose is not known.

    Attributes:
        path: of the setting, with dots.
        value: in the user's file.
        until: the last version that shipped it.
        default: that a new project gets now.
    """

    path: str
    value: Scalar
    until: str
    default: Scalar

    def describe(self) -> str:
        """The finding in one line."""
        return f"{self.path}: {_text(self.value)} was the default until {self.until}, now {_text(self.default)}"


FORMER_DEFAULTS: dict[str, dict[str, tuple[Scalar, ...]]] = {
    "0.1.0": {
        "train.attributes.adversarial_weight": (0.5,),
        "train.attributes.attribute_weight": (1.5,),
        "train.attributes.budget_steps": (3000,),
        "train.attributes.ema_decay": (0.99,),
        "train.attributes.keep_weight": (2.0,),
        "train.attributes.lr_decay_end_step": (3000,),
        "train.attributes.lr_decay_start_step": (1500,),
        "train.cut.batch_size": (1,),
        "train.cut.blocks": (9, 4),
        "train.cut.budget_steps": (100_000, 600),
        "train.cut.channels": (64, 32),
        "train.cut.crop_px": (256, 128),
        "train.cut.discriminator_channels": (64, 32),
        "train.cut.discriminator_layers": (3,),
        "train.cut.discriminator_lr": (0.0002,),
        "train.cut.discriminator_norm": ("instance",),
        "train.cut.downsamplings": (2,),
        "train.cut.ema_decay": (0.999,),
        "train.cut.fast": (False,),
        "train.cut.generator_lr": (0.0002,),
        "train.cut.nce_patches": (256, 128),
        "train.cut.nce_weight": (None,),
        "train.cut.norm": ("instance",),
        "train.cut.output": ("tanh",),
        "train.cut.projection_width": (256,),
        "train.cyclegan.cycle_weight": (5.0,),
        "train.cyclegan.discriminator_norm": ("spectral",),
        "train.keyframe.adversarial_weight": (2.0, 4.0),
        "train.keyframe.budget_steps": (2000, 4500),
        "train.keyframe.downsamplings": (2,),
        "train.keyframe.l1_weight": (20.0,),
        "train.keyframe.lr_decay_end_step": (2000, 4500),
        "train.keyframe.lr_decay_start_step": (0, 2250),
        "train.keyframe.lr_schedule": ("constant",),
        "train.keyframe.mixing_taps": (7,),
        "train.perceptual.budget_steps": (1200,),
        "train.perceptual.lr_decay_end_step": (1200,),
        "train.perceptual.lr_decay_start_step": (600,),
        "train.perceptual.output": ("residual",),
        "train.perceptual.skips": (False,),
        "train.perceptual.style_weight": (8.0,),
        "train.pix2pix.budget_steps": (6000,),
        "train.pix2pix.lr_decay_end_step": (6000,),
        "train.pix2pix.lr_decay_start_step": (3000,),
        "train.swap.adversarial_weight": (1.0,),
        "train.swap.cooccurrence_weight": (1.0,),
        "train.swap.l1_weight": (3.0,),
        "train.swap.structure_channels": (12,),
    },
    "0.2.0": {
        "prepare.sample.height_px": (160,),
        "prepare.sample.width_px": (256,),
        "train.cut.adversarial": ("least_squares",),
        "train.cut.augmentation": ("none",),
        "train.cut.batch_size": (4,),
        "train.cut.beta1": (0.5,),
        "train.cut.beta2": (0.999,),
        "train.cut.budget_steps": (2000,),
        "train.cut.channels": (16,),
        "train.cut.crop_px": (64,),
        "train.cut.discriminator_layout": ("patch",),
        "train.cut.ema_decay": (0.99,),
        "train.cut.lr_decay_end_step": (2000,),
        "train.cut.lr_decay_start_step": (0,),
        "train.cut.lr_schedule": ("constant",),
        "train.cut.shift_consistency_weight": (0.0,),
        "train.cyclegan.adversarial": ("least_squares",),
        "train.cyclegan.augmentation": ("none",),
        "train.cyclegan.beta1": (0.5,),
        "train.cyclegan.beta2": (0.999,),
        "train.cyclegan.budget_steps": (2000,),
        "train.cyclegan.channels": (16,),
        "train.cyclegan.crop_px": (64,),
        "train.cyclegan.cycle_weight": (1.0,),
        "train.cyclegan.discriminator_layout": ("patch",),
        "train.cyclegan.discriminator_norm": ("instance",),
        "train.cyclegan.ema_decay": (0.99,),
        "train.cyclegan.lr_decay_end_step": (2000,),
        "train.cyclegan.lr_decay_start_step": (1000,),
        "train.cyclegan.lr_schedule": ("linear",),
        "train.keyframe.budget_steps": (4000,),
        "train.keyframe.lr_decay_end_step": (4000,),
        "train.keyframe.lr_decay_start_step": (2000,),
        "train.perceptual.extractor": ("random_filters",),
        "train.perceptual.style_weight": (20.0,),
        "train.swap.adversarial_weight": (0.5,),
        "train.swap.batch_size": (4,),
        "train.swap.budget_steps": (2400,),
        "train.swap.cooccurrence_weight": (0.5,),
        "train.swap.crop_px": (64,),
        "train.swap.feature_style_weight": (0.0,),
        "train.swap.gradient_clip": (0.0,),
        "train.swap.l1_weight": (8.0,),
        "train.swap.lr_decay_end_step": (2400,),
        "train.swap.lr_decay_start_step": (1200,),
        "train.swap.style_weight": (1.0,),
        "train.swap.texture_width": (128,),
    },
}
"""By the last version that shipped them: values of params.yaml by path. Extend it when a default changes."""


def outdated_defaults(text: str) -> list[OutdatedDefault]:
    """Values of a params.yaml that were the default once and are not any more.

    Args:
        text: of the file.

    Raises:
        SettingsError: the text is not a YAML mapping of settings.
    """
    defaults = setting_values(example_params())
    found = []
    for path, value in setting_values(text).items():
        for until, former in FORMER_DEFAULTS.items():
            if value in former.get(path, ()) and value != defaults.get(path, value):
                found.append(OutdatedDefault(path, value, until, defaults[path]))
                break
    return found


def _text(value: Scalar) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
