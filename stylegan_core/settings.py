"""The base of all settings: frozen and typed, with errors that name a setting by its full path."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

Section = dict[str, Any]
"""A section of params.yaml as YAML gives it, names to values that are not yet checked."""

_Model = TypeVar("_Model", bound=BaseModel)


class SettingsError(ValueError):
    """A setting is unknown, missing or out of range; the message names it and the permitted values."""


class Settings(BaseModel):
    """Base of all sections: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def validated(model: type[_Model], section: Any, where: str) -> _Model:
    """Validates ``section`` as ``model``; errors name the setting by its full path, and the known keys.

    Raises:
        SettingsError: ``section`` is not a mapping, or a setting is wrong.
    """
    try:
        return model.model_validate(mapping(section, where))
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(model, where, e) for e in error.errors())) from None


def mapping(section: Any, where: str) -> Section:
    """Checks that ``section`` is a mapping with text keys; None is an empty one."""
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise SettingsError(f"{where} must hold settings, `name: value` a line (got {section!r})")
    if unknown := [key for key in section if not isinstance(key, str)]:
        raise SettingsError(f"unknown setting {where}.{unknown[0]}: names of settings are text")
    return section


def _explain(model: type[BaseModel], where: str, error: Any) -> str:
    path = ".".join([where, *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        for part in (part for part in error["loc"][:-1] if isinstance(part, str)):
            inner = model.model_fields[part].annotation
            model = (get_args(inner) or (inner,))[0]  # of a list, what it holds
        return f"unknown setting {path}; known there are: {', '.join(sorted(model.model_fields))}"
    # The message of a check of ours, without pydantic's "Value error, " before it.
    message = error["ctx"]["error"] if error["type"] == "value_error" else error["msg"]
    return f"{path}: {message}" + (f" (got {error['input']!r})" if error["loc"] else "")
