"""200 damaged movies of five kinds: no crash and no hang, truncated ones are refused, checksums are verified."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stylegan_core.frames.movies import sample_movies as movies

DAMAGED = 200
KINDS = (
    ("ffv1", "yuv420p", ".mkv", {"level": "3", "slicecrc": "1", "g": "1"}),
    ("libx264", "yuv420p", ".mp4", {"g": "5"}),
    ("libx265", "yuv420p10le", ".mkv", {"x265-params": "log-level=none"}),
    ("prores_ks", "yuv422p10le", ".mov", {}),
    ("ffv1", "yuv422p10le", ".avi", {"level": "3", "slicecrc": "1", "g": "1"}),
)
# In a process of its own: a decoder that crashes must not end the test.
READ = """
import json, sys
import numpy as np
from pathlib import Path
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.base.errors import UnreadablePictureError
whole = {}
for good, path in json.load(sys.stdin):
    if good not in whole:
        reader = MovieReader(Path(good))
        whole[good] = [reader.read(index).planes for index in range(len(reader.info.pts))]
    found = {"path": path, "refused": None, "frames": []}
    try:
        reader = MovieReader(Path(path))
        for index in range(len(reader.info.pts)):
            try:
                planes = reader.read(index).planes
            except UnreadablePictureError as error:
                found["frames"].append(str(error))
                continue
            known = whole[good][index] if index < len(whole[good]) else ()
            same = len(planes) == len(known) and all(np.array_equal(a, b) for a, b in zip(planes, known))
            found["frames"].append("same" if same else "other")
        reader.close()
    except UnreadablePictureError as error:
        found["refused"] = str(error)
    print(json.dumps(found), flush=True)
"""


def truncated(content, rng):
    return content[: int(len(content) * rng.uniform(0.02, 0.9))]


def empty(content, rng):
    return b""


def zeroed(content, rng):
    """Zeros from a random position on, as a file system leaves after a power cut."""
    keep = int(len(content) * rng.uniform(0.1, 0.9))
    return content[:keep] + bytes(len(content) - keep)


def flipped(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def only_frames_differ(good, bad):
    """Whether the damage is in the frames, which have checksums, and not in the container."""
    before, after = Path(good).read_bytes(), Path(bad).read_bytes()
    spans = [(before.find(packet), len(packet)) for packet in movies.packets(Path(good), "video")]
    changed = [at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
    inside = all(any(start <= at < start + size for start, size in spans) for at in changed)
    return len(before) == len(after) and bool(changed) and inside


@pytest.mark.timeout(900)
def test_damaged_movies(tmp_path, seed):
    rng, goods, pairs, damages = random.Random(seed), [], [], {}
    for number, (codec, pix_fmt, suffix, options) in enumerate(KINDS):
        goods.append(tmp_path / f"good{number}{suffix}")
        movies.make_movie(goods[-1], codec, pix_fmt, options=options)
    for number in range(DAMAGED):
        good = goods[number % len(goods)]
        damage = (truncated, flipped, zeroed, flipped, flipped, empty, flipped)[number // len(goods) % 7]
        path = tmp_path / f"{number:03d}-{damage.__name__}{good.suffix}"
        path.write_bytes(damage(good.read_bytes(), rng))
        pairs.append((str(good), str(path)))
        damages[str(path)] = (damage, KINDS[number % len(KINDS)][0])
    run = subprocess.run(
        [sys.executable, "-c", READ], input=json.dumps(pairs), capture_output=True, text=True, timeout=800, check=False
    )
    found = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert run.returncode == 0, f"after {found[-1]['path'] if found else 'none'}: {run.stderr[-2000:]}"
    assert len(found) == DAMAGED
    refused = named = judged = 0
    for entry in found:
        damage, codec = damages[entry["path"]]
        bad = [state for state in entry["frames"] if state not in ("same", "other")]
        assert all(bad)
        assert entry["refused"] != ""
        refused += entry["refused"] is not None
        named += bool(bad)
        if damage in (truncated, empty):
            assert entry["refused"], f"{entry['path']} was cut off and is read: {entry['frames']}"
        if codec == "ffv1" and only_frames_differ(*next(pair for pair in pairs if pair[1] == entry["path"])):
            judged += 1
            assert "other" not in entry["frames"], f"{entry['path']} passes with pixels that its checksums contradict"
    print(f"of {DAMAGED} movies {refused} are refused, {named} more have frames that are named; {judged} by checksums")
    assert refused + named > DAMAGED // 2
    assert judged > DAMAGED // 20
