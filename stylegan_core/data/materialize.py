"""Writes prepared data atomically: the manifest, the store, the shots' folders and the report."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stylegan_core.data.decode import DecodeSettings, load_samples
from stylegan_core.data.manifest import Manifest, ManifestRow, sort_key, write_manifest
from stylegan_core.data.report import REPORT_NAME, GroupReport, PictureWarning, PrepareReport, RefusedPicture
from stylegan_core.data.selection import Selection
from stylegan_core.data.shots import Shot
from stylegan_core.data.sources import PathDisplay, Source
from stylegan_core.data.store import StoreWriter
from stylegan_core.storage.atomic import fsync_folder, write_bytes_atomically


def materialize(
    selection: Selection,
    output: Path,
    *,
    settings: DecodeSettings,
    shots: Sequence[Shot],
    display: PathDisplay,
    copies: Mapping[str, Path] | None = None,
) -> PrepareReport:
    """Writes ``manifest.csv``, ``store/``, ``shots.json`` and ``report.json``; equal data give equal bytes.

    Everything is written to a temporary folder next to ``output``, which is renamed at the end.

    Args:
        selection: what to write.
        output: the folder; its previous content is replaced.
        settings: how the pictures were decoded.
        shots: for ``shots.json``.
        display: how paths are shown.
        copies: folders of pictures to copy into ``output``, by their names there: what the later stages read must not
            lie in a cache.
    Returns:
        The report.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{output.name}.part."
    for stale in output.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = output.parent / f"{prefix}{os.getpid()}"
    try:
        part.mkdir()
        write_manifest(_write_store(selection.chosen, part / "store", settings), part / "manifest.csv")
        report = _report(selection, settings)
        write_bytes_atomically(part / REPORT_NAME, report.text().encode())
        entries = {shot.name: _shot_entry(shot, display) for shot in shots}
        text = json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_bytes_atomically(part / "shots.json", text.encode())
        for name, folder in (copies or {}).items():
            shutil.copytree(folder, part / name)
        fsync_folder(part)
        _replace_folder(part, output)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return report


def _write_store(chosen: Sequence[Source], folder: Path, settings: DecodeSettings) -> Manifest:
    """Writes the samples in the manifest's order; returns the rows with their indexes in the store."""
    ordered = sorted(((_row(source), source) for source in chosen), key=lambda both: sort_key(both[0]))
    rows = []
    with StoreWriter(folder, settings.working_space, settings.sample_type, settings.ocio) as writer:

        def add(source: Source) -> int:
            return writer.add_samples(load_samples(source.facts, settings.sample_type))

        for row, source in ordered:
            sample = add(source) if source.keep else None
            mask_sample = add(source.mask) if source.mask else None
            rows.append(replace(row, sample=sample, mask_sample=mask_sample))
    return tuple(rows)


def _row(source: Source) -> ManifestRow:
    facts = source.facts
    return ManifestRow(
        path=source.display_path,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        width_px=facts.width_px,
        height_px=facts.height_px,
        domain=source.domain,
        shot=source.shot,
        frame=source.frame,
        pair=source.pair,
        split=source.split,
        labels=source.labels,
        mask=source.mask.display_path if source.mask else "",
        held_out=source.held_out,
    )


def _report(selection: Selection, settings: DecodeSettings) -> PrepareReport:
    groups = {}
    for group, size in sorted(selection.group_sizes.items()):
        members = [source for source in selection.chosen if source.group == group]
        groups[group] = GroupReport(
            found=size,
            refused=sum(refusal.group == group for refusal in selection.refused),
            stored=sum(source.keep for source in members),
            splits=Counter(source.split for source in members),
            colour=dict(sorted(Counter(source.facts.colour for source in members).items())),
        )
    refused = sorted(selection.refused, key=lambda refusal: refusal.path)
    return PrepareReport(
        working_space=settings.working_space,
        sample_type=settings.sample_type,
        pictures=sum(selection.group_sizes.values()),
        stored=sum(source.keep for source in selection.chosen),
        groups=groups,
        refused=tuple(RefusedPicture(path=refusal.path, reason=refusal.reason) for refusal in refused),
        warnings=tuple(PictureWarning(path=path, warning=text) for path, text in sorted(selection.warnings)),
    )


def _shot_entry(shot: Shot, display: PathDisplay) -> dict[str, str | None]:
    def show(path: Path | None) -> str | None:
        return None if path is None else display.show(path)

    return {
        "plates": show(shot.plates),
        "painted": show(shot.painted),
        "masks": show(shot.masks),
        "truth": show(shot.truth),
        "motion": show(shot.motion),
        "frames": shot.frames,
    }


def _replace_folder(part: Path, output: Path) -> None:
    """Renames ``part`` to ``output``; a folder cannot be renamed over a full one, so the old one is removed first."""
    if output.is_symlink() or output.is_file():
        output.unlink()
    elif output.exists():
        shutil.rmtree(output)
    part.rename(output)
    fsync_folder(output.parent)
