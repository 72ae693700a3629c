"""SIGKILL while a movie is made, at random moments: no partial file has the final name, the next run finishes it."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time

import numpy as np
import pytest

from stylegan_core.frames.movies.probe import probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from tests.stylegan_core.frames.movies import sample_movies as movies

KILLS = 20
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def start():
    """Starts the command line in a process forked from one that has done its imports."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["flows.cli.stylize", "stylegan_core.recipes.keyframe", "tasks.stylize.stylize"])

    def started(source, output, model):
        arguments = ["stylize", str(source), str(output), "--model", str(model), "--back-end", "torch"]
        code = f"import sys; sys.argv = {['stylereel', *arguments, '--chunk-frames', '2']}\n"
        process = server.Process(target=exec, args=(code + "from flows.cli.main import main\nmain()",))
        process.start()
        return process

    return started


def finish(process):
    process.join(300)
    assert process.exitcode == 0


def same_planes(one, other):
    readers = MovieReader(one), MovieReader(other)
    for index in range(movies.COUNT):
        planes = zip(*(reader.read(index).planes for reader in readers), strict=True)
        if not all(np.array_equal(a, b) for a, b in planes):
            return False
    return True


def test_a_killed_movie_is_finished_by_the_next_run(start, tiny_model_folder, tmp_path, seed):
    source, output, whole = tmp_path / "in.mkv", tmp_path / "out" / "made.mkv", tmp_path / "whole" / "made.mkv"
    movies.make_movie(source, "ffv1", "yuv422p10le", audio="aac", width=640, height=480)
    finish(start(source, tmp_path / "first" / "made.mkv", tiny_model_folder))  # starts the server of processes
    began_s = time.monotonic()
    finish(start(source, whole, tiny_model_folder))
    whole_s = time.monotonic() - began_s
    rng, killed, moments = random.Random(seed), 0, set()
    for _ in range(KILLS):
        process = start(source, output, tiny_model_folder)
        time.sleep(rng.random() * whole_s)
        killed += process.is_alive()
        process.kill()
        process.join()
        frames = len(list(output.parent.glob(".made.mkv.frames/*.mkv")))
        moments.add((frames, output.exists()))
        if output.exists():
            assert same_planes(output, whole), "the movie is partial"
            shutil.rmtree(output.parent)
    finish(start(source, output, tiny_model_folder))
    print(f"{killed} kills; frames in place, and whether the movie was: {sorted(moments)}")
    assert killed >= KILLS // 3, "the moments were not spread over the run"
    assert len(moments) >= 3, "the moments were not spread over the run"
    assert same_planes(output, whole)
    assert len(probe_movie(output).pts) == movies.COUNT
    assert movies.packets(output, "audio") == movies.packets(source, "audio")
    assert not [path for path in output.parent.rglob("*") if ".tmp" in path.name]
