"""A full disk and vanished mounts during stylize: a clear error, finished frames stay, a rerun makes the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import RecordTail, read_records

FRAMES = 300
MODEL = ("--back-end", "torch", "--model")
"""A fixed back end: frames are compared byte for byte."""


def mounted(*command):
    return subprocess.run(["mount", *map(str, command)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def mount_point(tmp_path):
    """A mount point; unmounted at the end."""
    folder = tmp_path / "mount"
    folder.mkdir()
    if os.geteuid() != 0 or not mounted("-t", "tmpfs", "-o", "size=1m", "proof", folder):
        pytest.skip("only root mounts, and not in every container")
    unmount(folder)
    yield folder
    # Not ismount, which does not recognize a bind mount.
    while subprocess.run(["umount", "--lazy", folder], capture_output=True, check=False).returncode == 0:
        pass


def unmount(folder):
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def plates(make_plates):
    return make_plates(FRAMES, suffixes=("png", "tif", "jpg"))


@pytest.fixture(scope="module")
def expected(call, outputs, plates, tiny_model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "out"
    code, _, err = call("stylize", plates, folder, *MODEL, tiny_model_folder, "--no-preview")
    assert code == 0, err
    return outputs(folder)


def assert_what_is_recorded_is_whole(output, expected, outputs):
    recorded = {record.frame: record.made.sha256 for record in read_records(output)}
    for name, digest in recorded.items():
        assert sha256_of(output / name) == digest
    for name, content in outputs(output).items():
        assert content == expected[name], f"{name} is partial"
    return set(recorded)


@pytest.mark.parametrize("runner", ["threads", "dask"])
def test_a_full_disk(call, outputs, plates, expected, tiny_model_folder, mount_point, runner):
    needed = sum(len(content) for content in expected.values())
    assert mounted("-t", "tmpfs", "-o", f"size={needed // 3}", "proof", mount_point)
    output = mount_point / "out"
    asked = ("stylize", plates, output, *MODEL, tiny_model_folder, "--chunk-frames", 16, "--no-preview")
    asked = (*asked, "--runner", runner, *(("--workers", 2) if runner == "dask" else ()))
    done: set[str] = set()
    for _ in range(2):  # run again on the full disk: the same, nothing lost
        code, _, err = call(*asked)
        assert code == 3, err
        assert "No space left on device" in err
        assert f"of {FRAMES} frames are done" in err
        assert "run the same command again to finish" in err
        now = assert_what_is_recorded_is_whole(output, expected, outputs)
        assert done <= now
        assert FRAMES // 10 < len(now) < FRAMES
        done = now
    before = {name: (output / name).stat().st_mtime_ns for name in done}
    assert mounted("-o", f"remount,size={2 * needed + (8 << 20)}", mount_point)
    code, out, err = call(*asked)
    assert code == 0, err
    assert f"{len(done)} done before" in out, err
    assert outputs(output) == expected
    assert {name: (output / name).stat().st_mtime_ns for name in done} == before
    assert not list((output / ".stylereel" / "temporary").iterdir())
    assert call("verify", output)[0] == 0


@pytest.mark.parametrize("vanishes", ["input", "output"])
def test_a_mount_that_vanishes(
    begin, call, outputs, plates, expected, tiny_model_folder, mount_point, tmp_path, vanishes
):
    behind = tmp_path / "server"
    if vanishes == "input":
        shutil.copytree(plates, behind)
        source, output = mount_point, tmp_path / "out"
    else:
        behind.mkdir()
        source, output = plates, mount_point
    assert mounted("--bind", behind, mount_point)
    asked = ("stylize", source, output, *MODEL, tiny_model_folder, "--chunk-frames", 16, "--no-preview")
    process = begin(*asked)
    tail, recorded = RecordTail(output), 0
    while process.poll() is None and recorded < FRAMES // 10:
        recorded += len(tail.new())
        time.sleep(0.005)
    unmount(mount_point)
    err = process.communicate(timeout=300)[1]
    assert process.returncode == 3, err
    assert "was unmounted or removed" in err
    assert "Traceback" not in err
    if vanishes == "output":
        fallen = [path for path in mount_point.rglob("*") if path.is_file()]
        assert len(fallen) <= 4, "more than what was being written fell below the mount point"
        shutil.rmtree(mount_point, ignore_errors=True)
        mount_point.mkdir(exist_ok=True)
    assert mounted("--bind", behind, mount_point)
    done = assert_what_is_recorded_is_whole(output, expected, outputs)
    assert FRAMES // 10 <= len(done) < FRAMES, "it was done before the mount vanished: more frames are needed"
    code, out, err = call(*asked)
    assert code == 0, err
    assert f"{len(done)} done before" in out, err
    assert outputs(output) == expected
    assert call("verify", output)[0] == 0
