"""Renders params.yaml: every setting with its default, its meaning and its range."""

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
    PromoteSettings,
    parse_params,
)
from stylegan_core.limits_settings import LimitsSettings
from stylegan_core.recipes import config_class, list_recipes, recipe_class
from stylegan_core.recipes.base import Preset
from stylegan_core.settings import SettingsError
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.stylize_settings import StylizeSettings
from tasks.project.params_comments import COMMENTS, SHOTS_EXAMPLE

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""The first is the default of a new params.yaml."""

Values = Mapping[str, object]
"""Values of settings by dotted path."""

_COLUMN = 34

_HEAD = """\
# All settings of this project. `stylereel recipes` lists the recipes, `stylereel --help` the commands.
# After a change, `dvc repro` or `stylereel stylize` reruns the stages that read the changed value.
"""

_SHOTS_NONE = """\
# Shots, for `prepare.source: shots`; `stylereel init FOLDER` makes a project with an example.
shots: []
"""


def render_params(values: Values | None = None, *, shots: str = _SHOTS_NONE) -> str:
    """The text of a params.yaml with every setting.

    Args:
        values: that differ from the defaults.
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
    lines += ["", "promote:", *_section(PromoteSettings, "promote", chosen)]
    lines += ["", "limits:", *_section(LimitsSettings, "limits", chosen)]
    return "\n".join(lines) + "\n"


def recipe_settings(recipe: str, values: Values | None = None) -> str:
    """The text of a recipe's section in ``train`` of params.yaml."""
    section = _section(config_class(recipe), f"train.{recipe}", dict(values or {}), depth=2)
    return "\n".join([f"  # {recipe_class(recipe).paper}", f"  {recipe}:", *section])


def _section(model: type[BaseModel], where: str, values: Values, depth: int = 1) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = field.serialization_alias or name
        path = f"{where}.{key}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"{'  ' * depth}{name}:"
            yield from _section(field.annotation, path, values, depth + 1)
            continue
        default = None if field.default is PydanticUndefined else field.default
        yield from _line(depth, key, values.get(path, default), _comment(model, name, path, field))


def _line(depth: int, name: str, value: object, comment: str) -> Iterator[str]:
    text = f"{'  ' * depth}{name}: {_scalar(value)}"
    yield f"{text:<{_COLUMN}}  # {comment}" if comment else text


def _scalar(value: object) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | tuple | dict):
        return json.dumps(value)
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")  # YAML 1.1 reads 1e-4 as text
    return str(value.as_posix() if isinstance(value, Path) else value)


def _comment(model: type[BaseModel], name: str, path: str, field: FieldInfo) -> str:
    parents = [base for base in model.__mro__ if issubclass(base, BaseModel) and name in base.model_fields]
    inherited = next((d for base in parents if (d := base.model_fields[name].description)), None)
    text = field.description or COMMENTS.get(path) or inherited or COMMENTS.get(name) or ""
    allowed = _allowed(field)
    return f"{text} ({allowed})" if text and allowed else text or allowed


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


def preset_values(recipe: str, preset: Preset = PRESETS[0]) -> dict[str, object]:
    """Values of a recipe's preset that differ from the defaults."""
    return {f"train.{recipe}.{name}": value for name, value in recipe_class(recipe).presets.get(preset, {}).items()}


def example_params() -> str:
    """The text of a new project's params.yaml: an example of a shot, and every recipe with its preset for two cores."""
    return _rendered(SHOTS_EXAMPLE, set(), {"prepare.source": "shots"})


def renew(text: str) -> str:
    """Updates a params.yaml to the present settings; values and shots are kept, comments outside of shots are not.

    Recipes that it lacks get their preset for two cores.
    """
    document = _document(text)
    return _rendered(text, _recipes(document), dict(_values(document)))


def with_preset(text: str, recipe: str, preset: Preset) -> str:
    """Updates a params.yaml like ``renew``, and sets it to train ``recipe`` with a preset.

    Raises:
        SettingsError: the text is not a YAML file of settings, or holds unknown ones, which would be lost.
    """
    document = _document(text)
    kept = {path: v for path, v in _values(document) if not path.startswith(f"train.{recipe}.")}
    values = kept | preset_values(recipe, preset) | {"train.recipe": recipe}
    rendered = _rendered(text, _recipes(document) | {recipe}, values)
    known = {path for path, _ in _values(_document(rendered))}
    if unknown := [path for path in kept if path not in known]:
        raise SettingsError(f"unknown setting {unknown[0]} in params.yaml would be lost: correct or remove it")
    return rendered


def write_params(path: Path, text: str) -> None:
    """Checks and writes a params.yaml, atomically.

    Raises:
        SettingsError: the settings are inconsistent; the file is unchanged.
    """
    parse_params(_document(text))
    write_bytes_atomically(path, text.encode())


def _rendered(text: str, recipes: set[str], values: Values) -> str:
    """Renders ``values`` with the shots of ``text``; recipes that are not in ``recipes`` get their preset."""
    shots = re.search(r"(?ms)^(# [^\n]*\n)*shots:.*?(?=^\w|\Z)", text)
    for recipe in list_recipes():
        if recipe not in recipes:
            values = {**values, **preset_values(recipe)}
    return render_params(values, shots=shots[0].rstrip("\n") + "\n" if shots else _SHOTS_NONE)


def _recipes(document: Mapping[str, object]) -> set[str]:
    train = document.get("train")
    return {str(name) for name in train} if isinstance(train, Mapping) else set()


def setting_values(text: str) -> dict[str, str | float | bool | None]:
    """The single values of a params.yaml by dotted path, without shots; lists and mappings are left out.

    Raises:
        SettingsError: the text is not a YAML file of settings.
    """
    return {path: v for path, v in _values(_document(text)) if v is None or isinstance(v, str | float | int)}


def _document(text: str) -> dict[str, object]:
    try:
        document = YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        raise SettingsError(f"params.yaml is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError("params.yaml must hold sections such as `prepare:` and `train:`")
    return document


def _values(section: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in section.items():
        if key == "shots":
            continue
        yield f"{prefix}{key}", value  # mappings too: some settings are one
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{key}.")


if __name__ == "__main__":
    place = Path("params.yaml")
    write_bytes_atomically(place, renew(place.read_text(encoding="utf-8")).encode())
