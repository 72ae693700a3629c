"""Provenance in files of every format, signed if there is a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.provenance.tags import read_provenance_tags
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.recipes.model import Model
from stylegan_core.storage.hashing import sha256_of
from tests.stylegan_core.frames.provenance.certificates import write_chain
from tests.stylegan_core.inference.planning.requests import plan_selected

FORMATS = {".png": "uint8", ".tif": "uint16", ".jpg": "uint8", ".webp": "uint8", ".exr": "half", ".dpx": "uint16"}


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    folder = tmp_path / "plates"
    folder.mkdir()
    for number, (suffix, kind) in enumerate(FORMATS.items()):
        width = 40 + 4 * number  # each of its own size: those of one size share a batch by chance
        picture = oiio.ImageBuf(oiio.ImageSpec(width, 32, 3, kind))
        picture.set_pixels(oiio.ROI(), np.random.default_rng(3).uniform(0, 1, (32, width, 3)).astype(np.float32))
        assert picture.write(str(folder / f"p{number}{suffix}"))
    return folder


def made(plates: Path, model: Model, output: str, **render: Any) -> Job:
    job = plan_selected(model, plates, plates.parent / output, precision="fp32", **render).job
    with Stylizer(job, model) as work:
        report = work.chunk(0)
    assert len(report.made) == len(FORMATS)
    assert not report.failed
    return job


def test_every_format_has_provenance_and_its_pixels_do_not_change(plates: Path, tiny_model: Model) -> None:
    job = made(plates, tiny_model, "out", strength=0.5)
    silent = made(plates, tiny_model, "silent", strength=0.5, provenance=False)
    for frame in job.frames:
        path = job.output_path(frame)
        facts = read_provenance_tags(path)
        assert facts["model"] == tiny_model.card.digest
        assert facts["recipe"] == "keyframe"
        assert facts["version"]
        assert facts["source"] == frame.input
        assert facts["source_sha256"] == sha256_of(plates / frame.input)
        assert facts["asked"] == "strength 0.5"
        assert facts["settings"] == job.settings_digest()(frame)
        without = silent.output_path(frame)
        assert read_provenance_tags(without) == {}
        assert np.array_equal(read_picture(path).pixels, read_picture(without).pixels)
    # What is said decides no pixel, so a change of mind redoes nothing.
    assert silent.settings.digest() == job.settings.digest()


def test_equal_work_gives_equal_bytes_in_any_folder_and_job(plates: Path, tiny_model: Model) -> None:
    first, again = made(plates, tiny_model, "first"), made(plates, tiny_model, "again")
    assert first.digest != again.digest
    for frame in first.frames:
        assert first.output_path(frame).read_bytes() == again.output_path(frame).read_bytes()


def test_a_frame_that_is_stylized_twice_has_the_last_provenance(plates: Path, tiny_model: Model) -> None:
    once = made(plates, tiny_model, "once")
    twice = made(once.output_folder, tiny_model, "twice", strength=0.25)
    for frame in twice.frames:
        facts = read_provenance_tags(twice.output_path(frame))
        assert facts["asked"] == "strength 0.25"
        assert facts["source_sha256"] == sha256_of(once.output_folder / frame.input)


def test_files_are_signed_with_a_certificate(plates: Path, tiny_model: Model, tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    from stylegan_core.frames.provenance.c2pa import read_manifest

    plain = made(plates, tiny_model, "out")
    certificate, key = write_chain(tmp_path)
    # Files that are there unsigned are made again.
    job = made(plates, tiny_model, "out", c2pa_certificate=certificate, c2pa_key=key)
    assert job.settings.digest() != plain.settings.digest()
    for frame in job.frames:
        path = job.output_path(frame)
        facts, state = read_manifest(path)
        assert state == "Valid"
        assert facts["model"] == tiny_model.card.digest
        assert read_provenance_tags(path) == facts
    assert sorted(p.name for p in job.output_folder.glob("*.c2pa")) == ["p4.c2pa", "p5.c2pa"]
    assert not [*(job.state_folder / "temporary").iterdir()]
    with pytest.raises(PlanError, match="require each other"):
        made(plates, tiny_model, "out", c2pa_certificate=certificate)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_a_movie_is_signed_as_a_whole_and_has_provenance(tiny_model: Model, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("c2pa")
    from stylegan_core.frames.movies.preview_writer import write_preview
    from stylegan_core.frames.provenance.c2pa import read_manifest
    from stylegan_core.inference.delivery.movie import assemble_job

    rng = np.random.default_rng(5)
    write_preview([rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(3)], tmp_path / "clip.mp4")
    certificate, key = write_chain(tmp_path)

    def planned(**render: Any) -> Job:
        source, output = tmp_path / "clip.mp4", tmp_path / f"styl{suffix}"
        job = plan_selected(tiny_model, source, output, precision="fp32", back_end="torch", **render).job
        with Stylizer(job, tiny_model) as work:
            assert not work.chunk(0).failed
        return job

    movie = assemble_job(planned())
    facts = read_provenance_tags(movie.path)
    assert movie.made
    assert facts["model"] == tiny_model.card.digest
    assert (facts["asked"], facts["source"]) == ("strength 1", "clip.mp4")
    assert read_manifest(movie.path) == ({}, "")
    signed = assemble_job(planned(c2pa_certificate=certificate, c2pa_key=key))
    assert signed.made
    assert read_manifest(signed.path) == (read_provenance_tags(signed.path), "Valid")
    assert signed.path.with_suffix(".c2pa").exists() == (suffix == ".mkv")
    assert not assemble_job(planned(c2pa_certificate=certificate, c2pa_key=key)).made
