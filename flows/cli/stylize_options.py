"""The options of ``stylereel stylize`` and ``plan``: one table for both, and one more entry for each new setting.

What holds for any job is taken from ``RenderSettings``, whose fields are the same names in params.yaml.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

if TYPE_CHECKING:
    from stylegan_core.inference.planning.request import Request

_Option = tuple[str, Any, Any]  # the field of Request, its type with typer's option, its default

_SELECTION: tuple[_Option, ...] = (
    (
        "model",
        Annotated[
            str | None,
            typer.Option(help="A model folder, one in models/, or models:/NAME@ALIAS. Default: the last trained."),
        ],
        None,
    ),
    ("frames", Annotated[str | None, typer.Option(help="Frame numbers: 1001-1100x2,1200. Default: all.")], None),
    ("limit", Annotated[int | None, typer.Option(min=1, help="Only the first so many.")], None),
    ("every", Annotated[int, typer.Option(min=1, help="Only every so many, for a preview.")], 1),
    (
        "missing",
        Annotated[
            Literal["error", "skip", "hold", "black"] | None,
            typer.Option(
                help="Frames that a sequence lacks: an error (where a pattern or --frames asks for them), left out "
                "(in a folder), the one before held, or black."
            ),
        ],
        None,
    ),
    ("masks", Annotated[Path | None, typer.Option(help="Masks by frame number: white is stylized.")], None),
    (
        "missing_mask",
        Annotated[
            Literal["error", "everywhere", "nowhere"],
            typer.Option("--missing-mask", help="Where a frame without a mask is stylized."),
        ],
        "error",
    ),
    (
        "style_images",
        Annotated[
            list[str] | None,
            typer.Option(
                "--style-image", help="A reference, for models that take them; a.png:0.3 has a weight. Repeatable."
            ),
        ],
        None,
    ),
    (
        "style_bank",
        Annotated[
            Path | None, typer.Option("--style-bank", help="Precomputed references, which --style-image then names.")
        ],
        None,
    ),
    (
        "edit",
        Annotated[
            str | None,
            typer.Option(help='For models that edit attributes: "smiling, no glasses", or "smiling=0.5".'),
        ],
        None,
    ),
    (
        "direction",
        Annotated[Literal["forward", "backward"], typer.Option(help="For models that go both ways.")],
        "forward",
    ),
    (
        "regions",
        Annotated[
            Path | None,
            typer.Option(help="A YAML list of parts of the frames that are made otherwise, see docs/stylize.md."),
        ],
        None,
    ),
    (
        "elsewhere",
        Annotated[Literal["source", "style"], typer.Option(help="What is outside of all regions.")],
        "source",
    ),
    (
        "source_space",
        Annotated[str, typer.Option("--source-space", help="auto (by what the file says), or a colour space's name.")],
        "auto",
    ),
    ("chunk_frames", Annotated[int, typer.Option("--chunk-frames", min=1, help="Frames of one task.")], 64),
    ("codec", Annotated[str | None, typer.Option(help="Of OUTPUT, a movie. Default: as INPUT.")], None),
    ("quality", Annotated[int | None, typer.Option(help="CRF of OUTPUT in H.264 or H.265, 0 to 51.")], None),
    ("fps", Annotated[float, typer.Option(help="Frames a second of a movie made of pictures, and of previews.")], 24.0),
    ("device", Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")], "auto"),
    (
        "overwrite",
        Annotated[bool, typer.Option("--overwrite", help="Replace files of OUTPUT that stylereel did not make.")],
        False,
    ),
)


def manner_options() -> tuple[_Option, ...]:
    """An option for each field of ``RenderSettings``."""
    from stylegan_core.stylize_settings import RenderSettings

    options = []
    for name, field in RenderSettings.model_fields.items():
        words = (field.description or "").rstrip(".")
        flag = f"--{name.replace('_', '-')}"
        flags = f"{flag}/--no-{flag[2:]}" if field.annotation is bool and field.default else flag
        said = words[:1].upper() + words[1:] + "."
        options.append((name, Annotated[_plain(field.annotation), typer.Option(flags, help=said)], field.default))
    return tuple(options)


def takes_request(command: Callable[..., object], *, needs_input: bool = True) -> Callable[..., object]:
    """A command whose first parameter is a request, as one that has all these options instead.

    Args:
        command: called with the request, or None without INPUT, and its own parameters.
        needs_input: whether INPUT and OUTPUT must be given.
    """
    table = (*_SELECTION, *manner_options())
    own = list(inspect.signature(command).parameters.values())[1:]
    hints = get_type_hints(command, localns={"Request": object}, include_extras=True)  # its own type is a heavy import
    words = "A folder, a pattern such as shot.####.exr, or a movie"
    source: Any = Annotated[str, typer.Argument(metavar="INPUT", help=f"{words}.")]
    output: Any = Annotated[str, typer.Argument(metavar="OUTPUT", help="Another folder, pattern or movie.")]
    if not needs_input:
        source = Annotated[str | None, typer.Argument(metavar="INPUT", help=f"{words}; default: the shots.")]
        output = Annotated[str | None, typer.Argument(metavar="OUTPUT", help="Another folder, pattern or movie.")]
    empty = inspect.Parameter.empty if needs_input else None
    given = [("source", source, empty), ("output", output, empty), *table]

    @functools.wraps(command)
    def with_options(**arguments: Any) -> object:
        asked = {name: arguments.pop(name) for name, _, _ in given}
        return command(_request(asked), **arguments)

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, kind, default in given
    ]
    parameters += [p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _request(asked: dict[str, Any]) -> Request | None:
    """A request from the options, with the project's models where the working folder lies in a project.

    Raises:
        UsageError: INPUT without OUTPUT, or a setting is out of range.
    """
    from stylegan_core.inference.conditioning.edit_vocabulary import OWN
    from stylegan_core.inference.planning.request import Request
    from stylegan_core.settings import SettingsError
    from tasks.shared.errors import UsageError
    from tasks.shared.versioning import project_root

    if asked["source"] is None:
        return None
    if asked["output"] is None:
        raise UsageError("name an OUTPUT too: stylereel stylize INPUT OUTPUT")
    asked["style_images"] = tuple(asked["style_images"] or ())
    root = project_root()
    try:
        return Request.of(**asked, models=root / "models", vocabulary=root / OWN)
    except SettingsError as error:
        raise UsageError(str(error)) from error


def _plain(annotation: Any) -> Any:
    """What typer makes an option of: a type, or one that may be left out."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return (kinds[0] if len(kinds) == 1 else str) | None
    return annotation
