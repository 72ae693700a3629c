"""The text of params.yaml: every setting with its default, what it means and what it may be."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stylegan_core.config import (
    CommonSettings,
    EvaluateSettings,
    PrepareSettings,
    parse_params,
)
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import Preset
from stylegan_core.settings import SettingsError
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.stylize_settings import StylizeSettings

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""The first is what a params.yaml has until another is asked for."""

_COLUMN = 34

COMMENTS: dict[str, str] = {
    "prepare.source": "kind of input, see docs/data.md",
    "prepare.sample.frames": "frames of the shot",
    "prepare.sample.width_px": "width of the frames",
    "prepare.sample.height_px": "height of the frames",
    "prepare.working_space": "colour space of the networks: srgb, linear_rec709, an OpenColorIO name, or a view",
    "prepare.content_space": "colour space of content pictures; auto: as tagged, else integers are sRGB, floats linear",
    "prepare.style_space": "colour space of style pictures and painted frames",
    "prepare.sample_type": "sample type of the store; uint16 and half for film",
    "prepare.min_side_px": "smaller pictures are rejected",
    "prepare.validation_fraction": "share of a collection's pictures, or of a key frame's area, for validation",
    "prepare.test_fraction": "share of a collection's pictures for evaluate",
    "prepare.max_bad_fraction": "fraction of rejected pictures above which the stage fails; all are listed",
    "train.common.seed": "seed of all random numbers",
    "train.common.accelerator": "auto: CUDA, else MPS, else the CPU",
    "train.common.devices": "number of GPUs",
    "train.common.precision": "auto: bf16 if the hardware computes it fast, else fp32",
    "train.common.validate_every_steps": "validation on held-out areas or pictures, every n steps",
    "train.common.sample_every_steps": "log a grid of pictures to MLflow every n steps",
    "train.common.log_every_steps": "log losses to the loss curve and to MLflow every n steps",
    "train.common.checkpoint_every_s": "largest time between checkpoints",
    "train.common.weights": "weights that stylize uses; both are kept and reported",
    "train.common.model_per_shot": "false: one model for all shots",
    "evaluate.baselines": "compare with Gaussian, median, bilateral and Reinhard filters, tuned on the key frames",
    "evaluate.temporal": "measure flicker of consecutive frames",
    # Fields of every recipe, where the recipe says nothing of its own.
    "batch_size": "crops for each step",
    "generator_lr": "learning rate of Adam",
    "discriminator_lr": "learning rate of Adam",
    "beta1": "beta1 of Adam",
    "beta2": "beta2 of Adam",
    "lr_schedule": "decay of the learning rates between the two steps below",
    "lr_decay_start_step": "an absolute step, so that a larger budget continues a run",
    "lr_decay_end_step": "an absolute step",
    "r1_gamma": "weight of the penalty on the discriminator's gradient (Mescheder et al. 2018); 0: off",
    "channels": "channels of the generator's first layer",
    "blocks": "residual blocks",
    "discriminator_channels": "channels of the discriminator's first layer",
    "discriminator_layers": "strided layers of the discriminator",
    "adversarial_weight": "weight of the adversarial loss",
    "l1_weight": "weight of the L1 distance to the painting",
    "nce_temperature": "temperature of PatchNCE",
    "projection_width": "width of the projection heads of PatchNCE",
    "downsamplings": "downsamplings by 2 before the residual blocks",
    "style_layers": "layers whose statistics are the style",
}

_HEAD = """\
# All settings of this project. `stylereel recipes` lists the recipes, `stylereel --help` the commands.
# After a change, `dvc repro` or `stylereel stylize` reruns the stages that read the changed value.
"""

_SHOTS_NONE = """\
# Shots, for `prepare.source: shots`; `stylereel init FOLDER` makes a project with an example.
shots: []
"""

SHOTS_EXAMPLE = """\
# Your shots. One model is trained for each shot, or one for all: train.common.model_per_shot.
shots:
  - name: my_shot                 # names the model and the output: models/my_shot, out/stylized/my_shot
    plates: plates/my_shot        # the frames to stylize: a folder, or a pattern such as plates/my_shot/sh010.####.png
    painted: painted/my_shot      # the painted key frames, matched to the plates by frame number
    # masks: masks/my_shot        # white where a key frame is painted, if only a part of it is
    # truth: truth/my_shot        # further painted frames, for evaluation only
    # frames: 1001-1100x2         # default: all
    # pairs:                      # further before/after pictures, matched by name
    #   - content: pairs/before
    #     style: pairs/after
    # train:                      # overrides of the section train, for this shot only
    #   keyframe: {budget_steps: 3000}
    #   common: {init_from: 0123456789ab}   # after painting one more key frame: start from the model with this
    #                                       # digest, which `stylereel whence models/my_shot` prints
"""


def render_params(values: Mapping[str, Any] | None = None, *, shots: str = _SHOTS_NONE) -> str:
    """The text of a params.yaml that names every setting.

    Args:
        values: by dotted path, where they differ from the defaults.
        shots: the YAML text of the list of shots.
    """
    chosen = dict(values or {})
    lines = [_HEAD]
    lines += ["prepare:", *_section(PrepareSettings, "prepare", chosen), "", shots]
    lines += ["train:", *_line(1, "recipe", chosen.get("train.recipe", "keyframe"), _one_of(list_recipes()))]
    lines += ["  common:", *_section(CommonSettings, "train.common", chosen, depth=2)]
    for recipe in list_recipes():
        lines.append(recipe_settings(recipe, chosen))
    lines += ["", "evaluate:", *_section(EvaluateSettings, "evaluate", chosen)]
    lines += ["", "stylize:", *_section(StylizeSettings, "stylize", chosen)]
    return "\n".join(lines) + "\n"


def recipe_settings(recipe: str, values: Mapping[str, Any] | None = None) -> str:
    """The text of a recipe's section, as it stands in ``train`` of params.yaml."""
    section = _section(config_class(recipe), f"train.{recipe}", dict(values or {}), depth=2)
    return "\n".join([f"  # {recipe_class(recipe).paper}", f"  {recipe}:", *section])


def _section(model: type[BaseModel], where: str, values: dict[str, Any], depth: int = 1) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = field.serialization_alias or name
        path = f"{where}.{key}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"{'  ' * depth}{name}:"
            yield from _section(field.annotation, path, values, depth + 1)
            continue
        default = None if field.default is PydanticUndefined else field.default
        yield from _line(depth, key, values.get(path, default), _comment(model, name, path, field))


def _line(depth: int, name: str, value: Any, comment: str) -> Iterator[str]:
    text = f"{'  ' * depth}{name}: {_scalar(value)}"
    yield f"{text:<{_COLUMN}}  # {comment}" if comment else text


def _scalar(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | tuple | dict):
        return json.dumps(value)
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")  # YAML 1.1 reads 1e-4 as text
    return str(value.as_posix() if isinstance(value, Path) else value)


def _comment(model: type[BaseModel], name: str, path: str, field: FieldInfo) -> str:
    parents = [base for base in model.__mro__ if issubclass(base, BaseModel) and name in base.model_fields]
    inherited = next((d for base in parents if (d := base.model_fields[name].description)), None)
    said = field.description or COMMENTS.get(path) or inherited or COMMENTS.get(name) or ""
    allowed = _allowed(field)
    return f"{said} ({allowed})" if said and allowed else said or allowed


def _allowed(field: FieldInfo) -> str:
    if literal := _literal(field.annotation):
        return _one_of([str(v) for v in literal])
    low = high = None
    for bound in field.metadata:
        if isinstance(bound, Ge | Gt):
            low = f"{bound.ge}" if isinstance(bound, Ge) else f"above {bound.gt}"
        elif isinstance(bound, Le | Lt):
            high = f"{bound.le}" if isinstance(bound, Le) else f"below {bound.lt}"
    return f"{low} to {high}" if low and high else ""


def _literal(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return next(filter(None, map(_literal, get_args(annotation))), ())
    return ()


def _one_of(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]


def preset_values(recipe: str, preset: Preset = PRESETS[0]) -> dict[str, Any]:
    """Where a recipe's preset differs from the defaults, by dotted path."""
    return {f"train.{recipe}.{name}": value for name, value in recipe_class(recipe).presets.get(preset, {}).items()}


def example_params() -> str:
    """The text of a new project's params.yaml: an example of a shot, and recipes set for two cores."""
    return _rendered(SHOTS_EXAMPLE, {}, {"prepare.source": "shots"})


def renew(text: str) -> str:
    """The text of a params.yaml with all settings of now; its values and shots are kept, its other comments are not.

    Recipes that it does not know get their preset for two cores.
    """
    document = _document(text)
    return _rendered(text, document.get("train") or {}, dict(_values(document)))


def with_preset(text: str, recipe: str, preset: Preset) -> str:
    """The text of a params.yaml that trains ``recipe`` with a preset, and is otherwise as ``renew`` has it.

    Raises:
        SettingsError: the text is no YAML of settings, or holds unknown ones, which would be lost.
    """
    document = _document(text)
    kept = {path: v for path, v in _values(document) if not path.startswith(f"train.{recipe}.")}
    values = kept | preset_values(recipe, preset) | {"train.recipe": recipe}
    rendered = _rendered(text, {**(document.get("train") or {}), recipe: {}}, values)
    known = {path for path, _ in _values(_document(rendered))}
    if unknown := [path for path in kept if path not in known]:
        raise SettingsError(f"unknown setting {unknown[0]} in params.yaml: correct or remove it, or it would be lost")
    return rendered


def write_params(path: Path, text: str) -> None:
    """Writes a params.yaml, whole or not at all.

    Raises:
        SettingsError: the settings do not fit together; the file is as it was.
    """
    parse_params(_document(text))
    write_bytes_atomically(path, text.encode())


def _rendered(text: str, train: Mapping[str, Any], values: dict[str, Any]) -> str:
    shots = re.search(r"(?ms)^(# [^\n]*\n)*shots:.*?(?=^\w|\Z)", text)
    for recipe in list_recipes():
        if recipe not in train:
            values |= preset_values(recipe)
    return render_params(values, shots=shots[0].rstrip("\n") + "\n" if shots else _SHOTS_NONE)


def setting_values(text: str) -> dict[str, str | float | bool | None]:
    """The single values of a params.yaml by dotted path, without shots; lists and mappings are left out.

    Raises:
        SettingsError: the text is no YAML of settings.
    """
    return {path: v for path, v in _values(_document(text)) if v is None or isinstance(v, str | float | int)}


def _document(text: str) -> dict[str, Any]:
    try:
        document = YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        raise SettingsError(f"params.yaml is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("params.yaml must hold sections such as `prepare:` and `train:`")
    return document


def _values(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if key == "shots":
            continue
        yield f"{prefix}{key}", value  # of mappings too: some settings are one
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{key}.")


if __name__ == "__main__":
    place = Path("params.yaml")
    write_bytes_atomically(place, renew(place.read_text(encoding="utf-8")).encode())
