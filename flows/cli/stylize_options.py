"""The options of ``stylereel stylize`` and ``plan``: one table for both commands.

Defaults are in ``Request`` and in ``StylizeSettings``. The fields of ``RenderSettings`` become options by themselves,
with their names and descriptions of params.yaml; the other options are in the table.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from stylegan_core.choices import Direction, MissingMask, OutsideRegions
from stylegan_core.inference.planning.request import MissingRule, Request
from stylegan_core.stylize_settings import RenderSettings, StylizeSettings

_OPTIONS: dict[str, Any] = {
    "model": Annotated[
        str | None,
        typer.Option(help="A model folder, the name of one in models/, or models:/NAME@ALIAS. Default: last trained."),
    ],
    "frames": Annotated[str | None, typer.Option(help="Frame numbers, such as 1001-1100x2,1200. Default: all.")],
    "limit": Annotated[int | None, typer.Option(min=1, help="At most this many frames, such as 10, from the first.")],
    "every": Annotated[int, typer.Option(min=1, help="Every n-th frame, such as 10 for a preview.")],
    "missing": Annotated[
        MissingRule | None,
        typer.Option(
            help="Frames that a sequence lacks: error, skip, hold (repeat the frame before) or black. Default: error "
            "with a pattern or --frames, else skip."
        ),
    ],
    "masks": Annotated[
        Path | None,
        typer.Option(help="A folder, a pattern or a file of masks, such as masks/; white is stylized."),
    ],
    "missing_mask": Annotated[
        MissingMask,
        typer.Option("--missing-mask", help="Which part of a frame without a mask is stylized."),
    ],
    "style_images": Annotated[
        list[str] | None,
        typer.Option(
            "--style-image",
            help="A reference picture, with a weight after a colon, such as dusk.jpg or sea.jpg:0.3; repeatable. "
            "Requires a model that takes references.",
        ),
    ],
    "style_bank": Annotated[
        Path | None,
        typer.Option("--style-bank", help="A folder of precomputed references; --style-image then takes their names."),
    ],
    "edit": Annotated[
        str | None,
        typer.Option(
            help='Changes of attributes, such as "smiling, no glasses" or "smiling=0.5". Requires a model that edits '
            "attributes."
        ),
    ],
    "direction": Annotated[Direction, typer.Option(help="The direction of a model that translates both ways.")],
    "regions": Annotated[
        Path | None,
        typer.Option(help="A YAML file of regions with their own settings, such as regions.yaml; see docs/stylize.md."),
    ],
    "outside_regions": Annotated[
        OutsideRegions,
        typer.Option("--outside-regions", help="What is outside of all regions: the source or the model's."),
    ],
    "elsewhere": Annotated[
        OutsideRegions | None, typer.Option(hidden=True, help="The former name of --outside-regions.")
    ],
    "source_space": Annotated[
        str,
        typer.Option(
            "--source-space", help='The colour space of the input, such as "ARRI LogC4"; auto reads it from the files.'
        ),
    ],
    "chunk_frames": Annotated[int, typer.Option("--chunk-frames", min=1, help="Frames of one chunk, such as 16.")],
    "codec": Annotated[
        str | None, typer.Option(help="The codec of an output movie, such as prores or h264. Default: as INPUT.")
    ],
    "quality": Annotated[
        int | None, typer.Option(help="The constant rate factor of H.264 or H.265, 0 (best) to 51, such as 18.")
    ],
    "fps": Annotated[
        float, typer.Option(help="The frame rate of a movie made of pictures, and of previews, such as 23.976.")
    ],
    "device": Annotated[str, typer.Option(help="The device: auto, cpu, cuda, cuda:1 or mps.")],
    "overwrite": Annotated[
        bool, typer.Option("--overwrite", help="Replace files in OUTPUT that stylereel did not write.")
    ],
}
"""Types of options by fields of ``Request`` or ``StylizeSettings``."""

_LISTS = ("style_images",)


def option_table() -> list[tuple[str, Any, Any]]:
    """Name, type and default of every option."""
    defaults: dict[str, Any] = {name: item.default for name, item in StylizeSettings.model_fields.items()}
    defaults |= {item.name: item.default for item in dataclasses.fields(Request)}
    defaults |= dict.fromkeys(("elsewhere", "regions", *_LISTS))
    table = [(name, kind, defaults[name]) for name, kind in _OPTIONS.items()]
    for name, field in RenderSettings.model_fields.items():
        text = (field.description or "").rstrip(".")
        flag = f"--{name.replace('_', '-')}"
        flags = f"{flag}/--no-{flag[2:]}" if field.annotation is bool and field.default else flag
        option = typer.Option(flags, help=text[:1].upper() + text[1:] + ".")
        table.append((name, Annotated[_option_type(field.annotation), option], field.default))
    return table


def takes_request(command: Callable[..., object], *, needs_input: bool = True) -> Callable[..., object]:
    """Replaces a command's first parameter, a request, by the options that make one.

    Args:
        command: called with the request, or None without INPUT, and its own parameters.
        needs_input: whether INPUT and OUTPUT must be given.
    """
    own = list(inspect.signature(command).parameters.values())[1:]
    hints = get_type_hints(command, localns={"Request": object}, include_extras=True)  # its own type is a heavy import
    words = "A folder, a pattern such as shot.####.exr, or a movie"
    source: Any = Annotated[str, typer.Argument(metavar="INPUT", help=f"{words}.")]
    output: Any = Annotated[str, typer.Argument(metavar="OUTPUT", help="Another folder, pattern or movie.")]
    if not needs_input:
        source = Annotated[str | None, typer.Argument(metavar="INPUT", help=f"{words}. Default: the project's shots.")]
        output = Annotated[str | None, typer.Argument(metavar="OUTPUT", help="Another folder, pattern or movie.")]
    empty = inspect.Parameter.empty if needs_input else None
    table = [("source", source, empty), ("output", output, empty), *option_table()]

    @functools.wraps(command)
    def with_options(**arguments: Any) -> object:
        options = {name: arguments.pop(name) for name, _, _ in table}
        return command(_request(options), **arguments)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in table
    ]
    parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _request(options: dict[str, Any]) -> Request | None:
    """A request from the options, with the project's models where the working folder lies in a project.

    Raises:
        UsageError: INPUT without OUTPUT, or a setting is out of range.
    """
    from stylegan_core.inference.conditioning.edit_vocabulary import OWN
    from stylegan_core.settings import SettingsError
    from tasks.shared.errors import UsageError
    from tasks.shared.versioning import project_root

    if options["source"] is None:
        return None
    if options["output"] is None:
        raise UsageError("stylize requires an OUTPUT too: stylereel stylize INPUT OUTPUT")
    for name in _LISTS:
        options[name] = tuple(options[name] or ())
    if (former := options.pop("elsewhere")) is not None:
        options["outside_regions"] = former
    root = project_root()
    try:
        return Request.of(**options, models=root / "models", vocabulary=root / OWN)
    except SettingsError as error:
        raise UsageError(str(error)) from error


def _option_type(annotation: Any) -> Any:
    """The type that typer makes an option of: optional types keep one alternative, else text."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return (kinds[0] if len(kinds) == 1 else str) | None
    return annotation
