"""Writes prepared data: the manifest, the store and what the later stages ask of the shots, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylegan_core.data.decode import Decoded, DecodeSettings, load_samples
from stylegan_core.data.manifest import as_manifest, write_manifest
from stylegan_core.data.selection import ManifestEntry, Selection, sort_key
from stylegan_core.data.shots import Shot
from stylegan_core.data.sources import Place
from stylegan_core.data.store import StoreWriter
from stylegan_core.storage.atomic import fsync_folder, write_bytes_atomically


def materialize(
    selection: Selection,
    output: Path,
    *,
    settings: DecodeSettings,
    shots: Sequence[Shot],
    place: Place,
    copies: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Writes ``manifest.csv``, ``store/``, ``shots.json`` and ``report.json``; equal data give equal bytes.

    Everything is written beside ``output`` and takes its place at the end.

    Args:
        selection: what to write.
        output: the folder; what it held is replaced.
        settings: how the pictures were decoded.
        shots: for ``shots.json``.
        place: how paths are shown.
        copies: folders of pictures to copy into ``output``, by the name that they have there: what the later stages
            read must not lie in a cache.
    Returns:
        The content of ``report.json``.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{output.name}.part."
    for stale in output.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = output.parent / f"{prefix}{os.getpid()}"
    try:
        part.mkdir()
        chosen = sorted(selection.chosen, key=sort_key)
        write_manifest(as_manifest(_write_store(chosen, part / "store", settings)), part / "manifest.csv")
        report = _report(selection, settings)
        _write_json(part / "report.json", report)
        _write_json(part / "shots.json", {shot.name: _shot_entry(shot, place) for shot in shots})
        for name, folder in (copies or {}).items():
            shutil.copytree(folder, part / name)
        fsync_folder(part)
        _take_place(part, output)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return report


def _write_store(chosen: list[ManifestEntry], folder: Path, settings: DecodeSettings) -> list[dict[str, Any]]:
    rows = []
    with StoreWriter(folder, settings.working_space, settings.sample_type, settings.ocio) as writer:

        def add(decoded: Decoded) -> int:
            return writer.add_samples(load_samples(decoded, settings.sample_type))

        for item in chosen:
            source, facts = item.source, item.decoded
            row: dict[str, Any] = {
                "path": source.shown,
                "sha256": facts.sha256,
                "size_bytes": facts.size_bytes,
                "width_px": facts.width_px,
                "height_px": facts.height_px,
                "domain": source.domain,
                "shot": source.shot,
                "frame": source.frame,
                "pair": source.pair,
                "split": item.split,
                "labels": source.labels,
                "held_out": item.held_out,
                "sample": add(facts) if source.keep else None,
            }
            if item.mask:
                row |= {"mask": item.mask[0].shown, "mask_sample": add(item.mask[1])}
            rows.append(row)
    return rows


def _report(selection: Selection, settings: DecodeSettings) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    for group, size in sorted(selection.group_sizes.items()):
        members = [c for c in selection.chosen if c.source.group == group]
        groups[group] = {
            "found": size,
            "refused": sum(refusal.group == group for refusal in selection.refused),
            "stored": sum(c.source.keep for c in members),
            "splits": dict(sorted(Counter(c.split for c in members).items())),
            "colour": dict(sorted(Counter(c.decoded.colour for c in members).items())),
        }
    return {
        "working_space": settings.working_space,
        "sample_type": settings.sample_type,
        "pictures": sum(selection.group_sizes.values()),
        "stored": sum(chosen.source.keep for chosen in selection.chosen),
        "groups": groups,
        "refused": [{"path": r.path, "reason": r.reason} for r in sorted(selection.refused, key=lambda r: r.path)],
        "warnings": [{"path": path, "warning": warning} for path, warning in sorted(selection.warnings)],
    }


def _shot_entry(shot: Shot, place: Place) -> dict[str, Any]:
    def show(path: Path | None) -> str | None:
        return None if path is None else place.show(path)

    return {
        "plates": show(shot.plates),
        "painted": show(shot.painted),
        "masks": show(shot.masks),
        "truth": show(shot.truth),
        "motion": show(shot.motion),
        "frames": shot.frames,
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_bytes_atomically(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")


def _take_place(part: Path, output: Path) -> None:
    """Renames ``part`` to ``output``; a folder cannot be renamed over a full one, so the old one goes first."""
    if output.is_symlink() or output.is_file():
        output.unlink()
    elif output.exists():
        shutil.rmtree(output)
    part.rename(output)
    fsync_folder(output.parent)
