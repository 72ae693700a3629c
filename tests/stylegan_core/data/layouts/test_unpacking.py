import os
from dataclasses import dataclass

import pytest

from stylegan_core.data.layouts import unpacking
from stylegan_core.data.layouts.unpacking import Unpacked, build_once


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path))
    return tmp_path


@dataclass(frozen=True)
class Noted(Unpacked):
    note: str

    def dump(self):
        return {"note": self.note}

    @classmethod
    def parse(cls, files, facts):
        return cls(files, facts["note"])


def builder(text, calls=None):
    def build(files):
        if calls is not None:
            calls.append(text)
        (files / "a.txt").write_text(text)
        return Noted(files, text)

    return build


def test_the_same_recipe_is_built_once():
    calls = []
    first = build_once("things", ["a", 1], Noted, builder("x", calls))
    again = build_once("things", ["a", 1], Noted, builder("x", calls))
    other = build_once("things", ["a", 2], Noted, builder("y", calls))
    assert calls == ["x", "y"]
    assert first == again
    assert (again.files / "a.txt").read_text() == again.note == "x"
    assert (other.files / "a.txt").read_text() == "y"


def test_what_stops_halfway_is_not_there_the_next_time(cache):
    def stop(files):
        (files / "half.txt").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once("things", 1, Noted, stop)
    assert list((cache / "things").iterdir()) == []
    assert [p.name for p in build_once("things", 1, Noted, builder("x")).files.iterdir()] == ["a.txt"]


def test_those_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(unpacking, "_KEPT", 2)
    calls = []
    for place, recipe in enumerate((1, 2)):
        os.utime(build_once("things", recipe, Noted, builder(str(recipe), calls)).files.parent, (place, place))
    os.utime(build_once("things", 1, Noted, builder("1", calls)).files.parent, (9, 9))
    build_once("things", 3, Noted, builder("3", calls))  # 2 was used longest ago
    build_once("things", 1, Noted, builder("1", calls))
    assert calls == ["1", "2", "3"]
    build_once("things", 2, Noted, builder("2", calls))
    assert calls == ["1", "2", "3", "2"]
