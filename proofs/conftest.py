"""Shared fixtures: plates from real photographs, and the command line as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from proofs.film_project import make_film
from proofs.machine import Machine, kill_everything
from stylegan_core.data.sample.photographs import list_photographs, load_photograph

HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="session")
def seed():
    """Seed of everything random in a proof; STYLEREEL_PROOF_SEED sets another."""
    return int(os.environ.get("STYLEREEL_PROOF_SEED", "20"))


@pytest.fixture(scope="session")
def make_plates(tmp_path_factory, seed):
    """Numbered crops of real photographs in a new folder, some of them 16 bit, some JPEG."""

    def make(count, suffixes=("png", "png", "tif", "jpg")):
        folder, rng = tmp_path_factory.mktemp("plates"), np.random.default_rng(seed)
        photographs = [load_photograph(name, 480) for name in list_photographs()]
        for number in range(count):
            photograph = photographs[number % len(photographs)]
            limits = (photograph.shape[0] - HEIGHT, photograph.shape[1] - WIDTH)
            top, left = (int(rng.integers(0, limit + 1)) for limit in limits)
            crop = np.ascontiguousarray(photograph[top : top + HEIGHT, left : left + WIDTH, ::-1])
            suffix = suffixes[number % len(suffixes)]
            deep = crop.astype(np.uint16) * 257 if suffix == "tif" else crop
            cv2.imwrite(str(folder / f"shot.{number:04d}.{suffix}"), deep)
        return folder

    return make


@pytest.fixture(scope="session")
def begin():
    """Starts the command line: ``begin("stylize", plates, out)`` is a process; the caller reads its output."""

    def begun(*arguments, prefix=()):
        command = [*prefix, sys.executable, "-m", "flows", *arguments]
        return subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return begun


@pytest.fixture(scope="session")
def call(begin):
    """Runs the command line to its end: (exit code, stdout, stderr)."""

    def called(*arguments, prefix=()):
        with begin(*arguments, prefix=prefix) as process:
            out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    return called


@pytest.fixture(scope="session")
def outputs():
    """Name and bytes of every file of an output folder, without its records."""

    def read(folder):
        return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()} if folder.exists() else {}

    return read


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield Machine(tmp_path)
    kill_everything(tmp_path)


@pytest.fixture
def new_film(make_clone: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``new_film(folder, steps)``: a project whose commands find no systemd: its units would outlive the test."""
    tool = make_clone("tool")

    def make(folder: str, steps: int = 6) -> Any:
        film = make_film(tool, tmp_path / folder, steps=steps)
        film.environment["XDG_RUNTIME_DIR"] = film.environment["DBUS_SESSION_BUS_ADDRESS"] = "/nonexistent"
        return film

    return make
