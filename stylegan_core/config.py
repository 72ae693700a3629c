"""Reads params.yaml into frozen, typed settings; the only reader of YAML in the core."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from stylegan_core.data.choices import LABELLED, Filter, Half, Layout
from stylegan_core.limits_settings import LimitsSettings
from stylegan_core.recipes import config_class, list_recipes
from stylegan_core.recipes.base import RecipeConfig
from stylegan_core.settings import Section, Settings, SettingsError, mapping, validated
from stylegan_core.stylize_settings import StylizeSettings


class SampleSettings(Settings):
    """The built-in sample, ``prepare.sample``."""

    frames: int = Field(48, ge=8)
    width_px: int = Field(480, ge=64)
    height_px: int = Field(300, ge=64)
    painter: Literal["strokes", "oil"] = Field(
        "strokes", description="strokes: the scene is painted once; oil: every frame by itself"
    )
    stroke_px: int = Field(5, ge=2, description="radius of the strokes of the painter oil")
    train_on_pairs: bool = Field(False, description="also train on painted pairs of other photographs")


class PrepareSettings(Settings):
    """Section ``prepare``."""

    source: Literal["sample", "shots", "folders", "pairs", "folder", "side_by_side"] = "sample"
    content: Path | None = Field(None, description="folder of content pictures, for all sources but sample and shots")
    style: Path | None = Field(None, description="folder of style pictures, for folders and pairs")
    content_half: Half = Field("left", description="for side_by_side: the half of each picture that is the content")
    layout: Layout = Field("files", description="layout of the content folder, for folder and folders")
    split: Literal["content_hash", "folders"] = Field(
        "content_hash",
        description="content_hash: by the fractions below; folders: by the topmost folder train, val or test",
    )
    labels: Path | None = Field(
        None, description="CSV of attributes: the path of a content picture, then 0 or 1 for each attribute"
    )
    sample: SampleSettings = SampleSettings()
    working_space: str = "srgb"
    content_space: str = "auto"
    style_space: str = "auto"
    ocio: str | None = Field(None, description="OpenColorIO config; null: $OCIO, else a built-in ACES config")
    sample_type: Literal["uint8", "uint16", "half"] = "uint8"
    min_side_px: int = Field(64, ge=1)
    max_megapixels: float = Field(
        200.0, gt=0, description="pictures that declare a larger size are rejected as decompression bombs"
    )
    resize_px: int | None = Field(
        None, ge=8, description="larger pictures are reduced until their shorter side has this length"
    )
    resize_filter: Filter = Field(
        "area", description="area averages linear light; nearest keeps the colours of label maps"
    )
    content_resize_filter: Filter | None = Field(None, description="of content pictures; null: resize_filter")
    style_resize_filter: Filter | None = Field(None, description="of style pictures; null: resize_filter")
    plates_every: int = Field(8, ge=0, description="store every n-th unpainted plate of a shot; 0: none")
    validation_fraction: float = Field(0.1, ge=0.0, lt=0.5)
    test_fraction: float = Field(0.1, ge=0.0, lt=0.5)
    max_bad_fraction: float = Field(0.05, ge=0.0, le=1.0)
    preview_frames: int = Field(0, ge=0, description="only the first n plates of each shot; 0: all")

    @model_validator(mode="after")
    def _folders_are_named(self) -> PrepareSettings:
        if self.source in ("folders", "pairs") and not (self.content and self.style):
            raise ValueError(f"prepare.source is {self.source}: set prepare.content and prepare.style to folders")
        if self.source in ("folder", "side_by_side"):
            if not self.content:
                raise ValueError(f"prepare.source is {self.source}: set prepare.content to a folder")
            if self.style:
                raise ValueError(f"prepare.source is {self.source}, which reads no prepare.style: set it to null")
        return self

    @model_validator(mode="after")
    def _refinements_fit_the_source(self) -> PrepareSettings:
        listed = self.source in ("folder", "folders", "pairs", "side_by_side")
        if self.layout != "files" and self.source not in ("folder", "folders"):
            raise ValueError(f"prepare.layout {self.layout} is for prepare.source folder or folders, not {self.source}")
        for name, used in (("labels", self.labels is not None), ("split", self.split == "folders")):
            if used and not listed:
                raise ValueError(f"prepare.{name} is for pictures in folders, and prepare.source is {self.source}")
            if used and self.layout in LABELLED:
                raise ValueError(f"prepare.layout {self.layout} brings its own labels and splits: unset prepare.{name}")
        return self

    def filter_of(self, domain: str) -> Filter:
        """How pictures of a domain are reduced, "content" or "style"; of any other, ``resize_filter``."""
        own = {"content": self.content_resize_filter, "style": self.style_resize_filter}.get(domain)
        return own or self.resize_filter


class PairFolders(Settings):
    """Further before/after pictures for a shot, matched by name."""

    content: Path
    style: Path


class ShotSettings(Settings):
    """One entry of ``shots``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    plates: Path
    painted: Path
    masks: Path | None = None
    truth: Path | None = Field(None, description="further painted frames, for evaluation only")
    motion: Path | None = Field(None, description="JSON of the true camera motion, if it is known")
    frames: str | None = Field(None, description="a range such as 1001-1100x2; default: all")
    pairs: list[PairFolders] = Field(default_factory=list)
    train: Section = Field({}, description="overrides of the section train, for this shot")


class CommonSettings(Settings):
    """Section ``train.common``: how any recipe is run."""

    seed: int = Field(0, ge=0)
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = Field(1, ge=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    limit_minutes: float | None = Field(None, gt=0, description="time limit, recorded; the budget is in steps")
    validate_every_steps: int = Field(250, ge=1)
    sample_every_steps: int = Field(500, ge=1)
    log_every_steps: int = Field(25, ge=1)
    checkpoint_every_s: float = Field(30.0, gt=0, le=60.0)
    weights: Literal["last", "best"] = "last"
    init_from: str | None = Field(None, description="model folder or digest to start from, with new data")
    model_per_shot: bool = True


class TrainSettings(Settings):
    """Section ``train`` with the settings of the recipe that it names."""

    recipe: str
    common: CommonSettings = CommonSettings()
    config: RecipeConfig

    @classmethod
    def parse(cls, section: Section) -> TrainSettings:
        """Reads ``{"recipe": name, "common": {...}, name: {...}, <other recipes>: ...}``."""
        known = list_recipes()
        parts = {name: mapping(section.get(name), f"train.{name}") for name in ("common", *known)}
        recipe = section.get("recipe")
        if not isinstance(recipe, str) or recipe not in known:
            raise SettingsError(f"train.recipe is {recipe!r}; the recipes are: {', '.join(known)}")
        unknown = sorted(set(section) - {"recipe", "common", *known})
        if unknown:
            raise SettingsError(f"unknown setting train.{unknown[0]}; known are: recipe, common, {', '.join(known)}")
        common = validated(CommonSettings, parts["common"], "train.common")
        config = validated(config_class(recipe), parts[recipe], f"train.{recipe}")
        return cls.model_construct(recipe=recipe, common=common, config=config)


class EvaluateSettings(Settings):
    """Section ``evaluate``."""

    every: int = Field(1, ge=1, description="evaluate every n-th test frame")
    baselines: bool = True
    temporal: bool = True
    max_pictures: int = Field(64, ge=1, description="largest number of test pictures of a collection")


class PromoteSettings(Settings):
    """Section ``promote``; no stage of DVC reads it."""

    max_swd_ratio: float = Field(
        1.0, gt=0, description="largest patch distance of a promoted model, as a fraction of the untouched input's"
    )
    margin: float = Field(
        0.02, ge=0, lt=1, description="refuse a model that is in any shot worse than the promoted one by more than this"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the bootstrap intervals over frames")
    resamples: int = Field(2000, ge=100, description="of the bootstrap")
    seed: int = Field(0, ge=0, description="of the bootstrap")


class Training(Settings):
    """One model to train.

    Attributes:
        name: of the model's folder: a shot's name, or "all".
        shots: names of the shots whose pairs it learns; empty: everything in the manifest.
        settings: what to run.
    """

    name: str
    shots: tuple[str, ...]
    settings: TrainSettings


class Params(Settings):
    """All of params.yaml."""

    prepare: PrepareSettings
    shots: tuple[ShotSettings, ...] = ()
    train_section: Section
    evaluate: EvaluateSettings
    stylize: StylizeSettings
    promote: PromoteSettings = PromoteSettings()
    limits: LimitsSettings = LimitsSettings()

    def train(self) -> TrainSettings:
        """The section ``train`` without a shot's overrides."""
        return TrainSettings.parse(self.train_section)

    def trainings(self) -> list[Training]:
        """The models to train: one a shot where ``model_per_shot`` is set and shots are listed, else one, "all"."""
        if self.prepare.source != "shots":
            return [Training(name="all", shots=(), settings=self.train())]
        if self.train().common.model_per_shot:
            each = [(shot.name, _merged(self.train_section, shot.train)) for shot in self.shots]
            return [Training(name=name, shots=(name,), settings=TrainSettings.parse(own)) for name, own in each]
        if overriding := [shot.name for shot in self.shots if shot.train]:
            raise SettingsError(
                f"shot {overriding[0]} overrides train, but one model serves all shots: "
                "set train.common.model_per_shot to true, or remove the override"
            )
        return [Training(name="all", shots=tuple(s.name for s in self.shots), settings=self.train())]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and checks params.yaml.

    Raises:
        SettingsError: the file is missing or not a YAML mapping, or a setting is wrong.
    """
    if not path.is_file():
        raise SettingsError(f"{path} does not exist: go to a stylereel project, or make one with `stylereel init`")
    try:
        document = YAML(typ="safe").load(path)
    except Exception as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    return parse_params(mapping(document, str(path)))


def parse_params(document: Section) -> Params:
    """Checks the content of params.yaml, given as a mapping.

    Raises:
        SettingsError: a setting is wrong.
    """
    sections = ("prepare", "shots", "train", "evaluate", "stylize", "promote", "limits")
    document = mapping(document, "params.yaml")
    unknown = sorted(set(document) - set(sections))
    if unknown:
        raise SettingsError(f"unknown section {unknown[0]!r} in params.yaml; the sections are: {', '.join(sections)}")
    listed = document.get("shots") or []
    if not isinstance(listed, list | tuple):
        raise SettingsError(f"shots must be a list, with a line `- name: ...` a shot (got {listed!r})")
    shots = [validated(ShotSettings, s, f"shots[{i}]") for i, s in enumerate(listed)]
    names = [s.name for s in shots]
    if len(set(names)) < len(names):
        raise SettingsError("two shots have the same name: " + next(n for n in names if names.count(n) > 1))
    prepare = validated(PrepareSettings, document.get("prepare"), "prepare")
    if prepare.source == "shots" and not shots:
        raise SettingsError("prepare.source is shots, but the list `shots:` in params.yaml is empty: add a shot to it")
    params = Params(
        prepare=prepare,
        shots=tuple(shots),
        train_section=mapping(document.get("train"), "train") or {"recipe": "keyframe"},
        evaluate=validated(EvaluateSettings, document.get("evaluate"), "evaluate"),
        stylize=validated(StylizeSettings, document.get("stylize"), "stylize"),
        promote=validated(PromoteSettings, document.get("promote"), "promote"),
        limits=validated(LimitsSettings, document.get("limits"), "limits"),
    )
    params.trainings()  # an override that cannot be read is reported now, not after an hour of preparation
    return params


def _merged(base: Section, override: Section) -> Section:
    merged = dict(base)
    for key, value in override.items():
        merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
