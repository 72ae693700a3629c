"""The tables of docs/formats.md list the fields that the code writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from stylegan_core.data.manifest import ManifestRow
from stylegan_core.data.report import GroupReport, PictureWarning, PrepareReport, RefusedPicture
from stylegan_core.data.store import StoreWriter
from stylegan_core.inference.conditioning.style_bank import StyleBank, save_style_bank
from stylegan_core.inference.delivery.movie_record import MovieRecord, write_movie_record
from stylegan_core.inference.job.delivery import MovieTarget, Signing
from stylegan_core.inference.job.frame_settings import Conditioning, FrameSettings, Region, StyleReference
from stylegan_core.inference.job.frame_task import FrameTask, Neighbour, RegionFiles
from stylegan_core.inference.job.spec import Job
from stylegan_core.recipes.model import ModelCard, WeightsFile
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from tasks.backup.archive import BackedUpFile, Manifest
from tasks.inbox.shot_state import Outcome, ShotState
from tasks.promotion.decision import Decision

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def rows(table: str) -> dict[str, str]:
    """The rows of the table after ``<!-- fields: TABLE -->``: text by field name."""
    _, _, rest = PAGE.partition(f"<!-- fields: {table} -->\n\n")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    found = [re.match(r"\| `(\w+)` (\|.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def names(model: type[BaseModel]) -> list[str]:
    """Field names as they are in the file."""
    in_file = {"outside_regions": "elsewhere"}
    return [in_file.get(name, name) for name in model.model_fields]


@pytest.mark.parametrize(
    "model",
    [Job, FrameSettings, FrameTask, ModelCard, PrepareReport, Decision, ShotState, Manifest],
    ids=lambda model: model.__name__,
)
def test_a_table_lists_the_fields_of_its_class_in_order(model: type[BaseModel]) -> None:
    assert list(rows(model.__name__)) == names(model)


@pytest.mark.parametrize(
    ("table", "row", "parts"),
    [
        ("Job", "signing", [Signing]),
        ("Job", "movie", [MovieTarget]),
        ("FrameSettings", "directions", [Conditioning, StyleReference]),
        ("FrameTask", "regions", [RegionFiles]),
        ("FrameTask", "window", [Neighbour]),
        ("ModelCard", "weights", [WeightsFile]),
        ("ModelCard", "networks", [WeightsFile]),
        ("PrepareReport", "groups", [GroupReport]),
        ("PrepareReport", "refused", [RefusedPicture]),
        ("PrepareReport", "warnings", [PictureWarning]),
        ("ShotState", "outcome", [Outcome]),
        ("Manifest", "files", [BackedUpFile]),
    ],
)
def test_a_row_names_the_fields_of_its_parts(table: str, row: str, parts: Iterable[type[BaseModel]]) -> None:
    text = rows(table)[row]
    assert not [name for part in parts for name in names(part) if f"`{name}`" not in text]


def test_the_fields_of_a_region_are_named() -> None:
    sentence = re.search(r"A region has (.*?)\.\n", PAGE, re.DOTALL)
    assert sentence
    assert [name for name in re.findall(r"`(\w+)`", sentence[1])] == names(Region)


def test_the_defaults_of_settings_are_those_of_the_class() -> None:
    table = rows("FrameSettings")
    defaults = {name: table[name].split("|")[1].strip().strip("`") for name in table}
    written = FrameSettings().model_dump(mode="json")
    for name, field in zip(names(FrameSettings), FrameSettings.model_fields.values(), strict=True):
        if isinstance(field.default, (Conditioning, tuple)):
            assert defaults[name] == "empty"
        else:
            value = written.get(name, field.default)
            assert defaults[name] == (value if isinstance(value, str) else json.dumps(value)), name


def test_records_and_the_manifest() -> None:
    assert list(rows("FrameRecord")) == [field.name for field in fields(FrameRecord) if field.name != "unknown"]
    assert list(rows("ManifestRow")) == [field.name for field in fields(ManifestRow)]


def test_the_store(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, "ACEScg", "half", "digest") as writer:
        writer.add(np.zeros((2, 3, 3), np.float32))
        writer.add(np.zeros((2, 3, 1), np.float32))
    index = json.loads((tmp_path / "samples.json").read_text())
    table = rows("samples.json")
    assert list(table) == list(index)
    assert not [name for name in index["entries"][0] if f"`{name}`" not in table["entries"]]
    assert [entry["offset"] % 64 for entry in index["entries"]] == [0, 0]


def test_the_record_of_a_movie(tmp_path: Path) -> None:
    write_movie_record(tmp_path, MovieRecord(tmp_path / "styled.mkv", FileState(1, 2, "digest"), "key"))
    assert list(rows("movie.json")) == list(json.loads((tmp_path / "movie.json").read_text()))


def test_a_style_bank(tmp_path: Path) -> None:
    save_style_bank(StyleBank(("sea.png",), torch.zeros(1, 4), "digest"), tmp_path)
    assert list(rows("bank.json")) == list(json.loads((tmp_path / "bank.json").read_text()))
