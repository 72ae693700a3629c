"""A traced run: for every frame write < fsync its file < rename < fsync its folder < its record < fsync the records.

strace logs the system calls of all libraries with their begin and end; "before" means that one ends before the
next begins.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

FRAMES = 24
_CALL = re.compile(r"^(?P<thread>\d+)\s+(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<thread>\d+)\s+<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_PATH = re.compile(r"^\w+<(?P<path>[^>]*)>")


def can_trace():
    strace = shutil.which("strace")
    return (
        strace
        and subprocess.run([strace, "-f", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0
    )


def calls_of(log):
    """(begin, end, name, arguments) of every call that succeeded, in the order of their begins."""
    open_calls, found = {}, []
    for line, text in enumerate(log.read_text(errors="replace").splitlines()):
        if match := _RESUMED.match(text):
            begin, name, rest = open_calls.pop((match["thread"], match["name"]))
            rest += match["rest"]
        elif match := _CALL.match(text):
            begin, name, rest = line, match["name"], match["rest"]
            if rest.endswith("<unfinished ...>"):
                open_calls[match["thread"], name] = (line, name, rest.removesuffix("<unfinished ...>"))
                continue
        else:
            continue
        if not re.search(r"= -1 E\w+ \(", rest):
            found.append((begin, line, name, rest))
    return sorted(found)


@pytest.mark.skipif(not can_trace(), reason="needs strace, and to be allowed to trace")
def test_the_order_of_fsync_rename_and_record(call, make_plates, tiny_model_folder, tmp_path):
    plates, output, log = make_plates(FRAMES), tmp_path / "out", tmp_path / "log"
    trace = "trace=write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2"
    code, _, err = call(
        "stylize", plates, output, "--model", tiny_model_folder, "--chunk-frames", 7, "--no-preview",
        prefix=("strace", "-f", "-y", "-s", 1 << 20, "-e", trace, "-o", log),
    )  # fmt: skip
    assert code == 0, err
    calls = calls_of(log)
    renames, writes, syncs = [], [], []
    for begin, end, name, rest in calls:
        if name.startswith("rename"):
            renames.append((begin, end, *re.findall(r'"([^"]*)"', rest)[:2]))
        elif (match := _PATH.match(rest)) and name in ("fsync", "fdatasync"):
            syncs.append((begin, end, match["path"]))
        elif match:
            writes.append((begin, end, match["path"], rest))
    assert len(renames) >= FRAMES
    assert len(syncs) > FRAMES
    shared = set()
    for number in range(FRAMES):
        name = next(plates.glob(f"shot.{number:04d}.*")).name
        final = str(output / name)
        (rename,) = [entry for entry in renames if entry[3] == final]
        temporary = rename[2]
        written = [entry for entry in writes if entry[2] == temporary]
        assert written, f"{name}: nothing was written to {temporary}"
        synced = [entry for entry in syncs if entry[2] == temporary and entry[0] > max(w[1] for w in written)]
        assert synced, f"{name}: its bytes were not synced"
        assert synced[0][1] < rename[0], f"{name}: renamed before its bytes were synced"
        folder = [entry for entry in syncs if entry[2] == str(output) and entry[0] > rename[1]]
        (record,) = [entry for entry in writes if "/records-" in entry[2] and f'\\"frame\\":\\"{name}\\"' in entry[3]]
        assert folder, f"{name}: its folder was not synced"
        assert folder[0][1] < record[0], f"{name}: recorded before its folder was synced"
        kept = [entry for entry in syncs if entry[2] == record[2] and entry[0] > record[1]]
        assert kept, f"{name}: its record was not synced"
        following = [entry for entry in writes if entry[2] == record[2] and entry[0] > record[1]]
        assert not following or kept[0][0] < following[0][0], f"{name}: the next record came before its record's sync"
        shared.add(record[0])
    print(f"{FRAMES} frames in {len(shared)} groups, {len(syncs)} syncs")
