"""What of the decoded sources becomes data: sizes, partners, duplicates, splits and held-out areas."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from stylegan_core.data.decode import Decoded
from stylegan_core.data.manifest import parse_box
from stylegan_core.data.shots import mask_source
from stylegan_core.data.sources import Source, SourceError, abbreviate
from stylegan_core.data.splits import held_out_box, split_by_hash


@dataclass(frozen=True)
class Refusal:
    """A source that is left out.

    Attributes:
        path: its name in the manifest's manner.
        reason: in words.
        group: the listing that it belongs to.
        bad: it counts for ``max_bad_fraction``; a duplicate does not, since nothing is lost with it.
    """

    path: str
    reason: str
    group: str
    bad: bool = True


@dataclass(frozen=True)
class ManifestEntry:
    """A source that becomes a row of the manifest.

    Attributes:
        source: see there.
        decoded: see there.
        split: "train", "validation" or "test".
        held_out: ``x,y,w,h``, or empty.
        mask: the mask of a painted frame, or None.
    """

    source: Source
    decoded: Decoded
    split: str
    held_out: str = ""
    mask: tuple[Source, Decoded] | None = None


@dataclass
class Selection:
    """The outcome: what is chosen, what is refused and what a person should know."""

    chosen: list[ManifestEntry] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    group_sizes: Counter[str] = field(default_factory=Counter)
    mask_refusals: dict[str, str] = field(default_factory=dict)
    """Why a painted frame's mask is refused, by the painted frame's name."""

    def refuse(self, source: Source, reason: str, bad: bool = True) -> None:
        """Leaves ``source`` out."""
        self.refused.append(Refusal(source.shown, reason, source.group, bad))

    def over(self, max_bad_fraction: float) -> list[Refusal]:
        """The bad sources of each group in which they are more than this share."""
        bad = Counter(refusal.group for refusal in self.refused if refusal.bad)
        over = {group for group, count in bad.items() if count > max_bad_fraction * self.group_sizes[group]}
        return [refusal for refusal in self.refused if refusal.bad and refusal.group in over]


def alpha_masks(sources: Sequence[Source], decoded: Sequence[Decoded]) -> list[Source]:
    """Mask sources for painted frames that have no mask but are transparent where they are not painted."""
    masked = {source.of for source in sources if source.role == "mask"}
    return [
        mask_source(source.path, source.shown, source.shot, source.frame, source.shown)
        for source, facts in zip(sources, decoded, strict=True)
        if source.role == "painted" and facts.translucent and source.shown not in masked
    ]


def select(
    sources: Sequence[Source],
    decoded: Sequence[Decoded],
    *,
    validation_fraction: float,
    test_fraction: float,
) -> Selection:
    """Chooses what becomes data.

    The outcome does not depend on the order of the sources, and adding pictures to a collection moves no other to
    another split.

    Args:
        sources: all of them, masks included.
        decoded: what is known of each.
        validation_fraction: of a collection; of the area of a key frame.
        test_fraction: of a collection.
    """
    selection = Selection(group_sizes=Counter(source.group for source in sources))
    good: list[tuple[Source, Decoded]] = []
    for source, facts in sorted(zip(sources, decoded, strict=True), key=lambda both: (both[0].shown, both[0].role)):
        selection.warnings += [(source.shown, warning) for warning in facts.warnings if source.of != source.shown]
        if facts.refusal:
            selection.refuse(source, facts.refusal)
            if source.role == "mask":
                selection.mask_refusals[source.of] = f"{source.shown} {facts.refusal}"
        else:
            good.append((source, facts))
    _select_shots(selection, good, validation_fraction)
    _select_pairs(selection, good, validation_fraction, test_fraction)
    _select_collections(selection, good, validation_fraction, test_fraction)
    return selection


def check_usable(selection: Selection, shots: Iterable[str]) -> None:
    """Raises if something without which there is nothing to learn is missing.

    Raises:
        SourceError: a shot has no usable key frame, all pictures of a collection are refused, or none is for training.
    """
    painted = {chosen.source.shot for chosen in selection.chosen if chosen.source.role == "painted"}
    for shot in shots:
        if shot not in painted:
            raise SourceError(f"shot {shot}: no painted frame can be used{_because(selection, f'shot {shot}')}")
    used = {chosen.source.group for chosen in selection.chosen}
    for group in selection.group_sizes:
        if group not in used and " of shot " not in group:
            raise SourceError(f"{group}: no picture can be used{_because(selection, group)}")
    for group in sorted({chosen.source.group for chosen in selection.chosen if chosen.source.split}):
        if all(chosen.split != "train" for chosen in selection.chosen if chosen.source.group == group):
            raise SourceError(f"{group}: no picture is in the split train, so there is nothing to learn from")


def _because(selection: Selection, group: str) -> str:
    reasons = [f"{r.path} {r.reason}" for r in selection.refused if r.group.endswith(group)]
    return f": {abbreviate(reasons, 3)}" if reasons else ""


def _select_shots(selection: Selection, good: list[tuple[Source, Decoded]], validation_fraction: float) -> None:
    plates = {(s.shot, s.frame): (s, d) for s, d in good if s.role == "plate"}
    masks = {s.of: (s, d) for s, d in good if s.role == "mask"}
    boxes: dict[str, str] = {}
    paired: set[str] = set()
    for source, facts in good:
        if source.role not in ("painted", "truth"):
            continue
        plate = plates.get((source.shot, source.frame))
        if plate is None:
            selection.refuse(source, f"cannot be used: the plate of frame {source.frame} is refused")
            continue
        if reason := _size_differs(facts, "plate", *plate):
            selection.refuse(source, reason)
            continue
        if source.role == "truth":
            selection.chosen.append(ManifestEntry(source, facts, "test"))
            continue
        mask = masks.get(source.shown)
        if reason := _mask_refusal(facts, mask, selection.mask_refusals.get(source.shown)):
            selection.refuse(source, reason)
            continue
        area = parse_box(mask[1].painted) if mask else None
        box = held_out_box(plate[1].corner, facts.width_px, facts.height_px, validation_fraction, area)
        boxes[source.pair] = str(box) if box else ""
        paired.add(source.pair)
        selection.chosen.append(ManifestEntry(source, facts, "train", boxes[source.pair], mask))
    for source, facts in plates.values():
        # A plate whose painted frame is refused is an unpainted one.
        plate_source = source if source.pair in paired else replace(source, pair="")
        split = "train" if source.keep else "test"
        selection.chosen.append(ManifestEntry(plate_source, facts, split, boxes.get(source.pair, "")))


def _mask_refusal(facts: Decoded, mask: tuple[Source, Decoded] | None, refused: str | None) -> str:
    if refused:
        return f"cannot be used: its mask {refused}"
    if mask is None:
        return ""
    if not mask[1].painted:
        return f"cannot be used: its mask {mask[0].shown} is black everywhere"
    return _size_differs(facts, "mask", *mask)


def _size_differs(facts: Decoded, what: str, other: Source, other_facts: Decoded) -> str:
    if (facts.width_px, facts.height_px) == (other_facts.width_px, other_facts.height_px):
        return ""
    return (
        f"is {facts.width_px} x {facts.height_px}, but its {what} {other.shown} is "
        f"{other_facts.width_px} x {other_facts.height_px}: they must have the same size"
    )


def _select_pairs(
    selection: Selection, good: list[tuple[Source, Decoded]], validation_fraction: float, test_fraction: float
) -> None:
    halves: dict[str, dict[str, tuple[Source, Decoded]]] = {}
    for source, facts in good:
        if source.role == "pair":
            halves.setdefault(source.pair, {})[source.domain] = (source, facts)
    seen: dict[tuple[str, str, str], str] = {}
    whole: list[tuple[tuple[Source, Decoded], tuple[Source, Decoded]]] = []
    for pair in sorted(halves):
        found = halves[pair]
        if len(found) < 2:
            unmatched = next(iter(found.values()))[0]
            selection.refuse(unmatched, "cannot be used: its partner is refused")
            continue
        before, after = found["content"], found["style"]
        if reason := _size_differs(after[1], "partner", *before):
            selection.refuse(after[0], reason)
            selection.refuse(before[0], "cannot be used: its partner has another size")
            continue
        key = (before[0].shot, before[1].content, after[1].content)
        if key in seen:
            for source, _ in (before, after):
                selection.refuse(source, f"is a duplicate: the pair {seen[key]} has the same content", bad=False)
            continue
        seen[key] = pair
        whole.append((before, after))
    free = [pair for pair in whole if not pair[0][0].shot]
    own = any(before[0].split for before, _ in free)
    splits = _splits([before for before, _ in free], validation_fraction, test_fraction)
    if free and "train" not in splits and not own:
        splits = ["train"] * len(free)
    boxed = bool(free) and validation_fraction > 0 and "validation" not in splits and not own
    if boxed:
        selection.warnings.append((free[0][0][0].group, "so few pairs that areas of them are held out for validation"))
    by_pair = dict(zip((before[0].pair for before, _ in free), splits, strict=True))
    for halves_of_pair in whole:
        before_facts = halves_of_pair[0][1]
        split = by_pair.get(halves_of_pair[0][0].pair, "train")  # pairs that help a shot all train
        box = None
        if boxed and split == "train" and not halves_of_pair[0][0].shot:
            box = held_out_box(before_facts.corner, before_facts.width_px, before_facts.height_px, validation_fraction)
        selection.chosen += [ManifestEntry(s, d, split, str(box) if box else "") for s, d in halves_of_pair]


def _select_collections(
    selection: Selection, good: list[tuple[Source, Decoded]], validation_fraction: float, test_fraction: float
) -> None:
    collections: dict[str, list[tuple[Source, Decoded]]] = {}
    for source, facts in good:
        if source.role == "collection":
            collections.setdefault(source.group, []).append((source, facts))
    for group, members in collections.items():
        first: dict[str, Source] = {}
        unique = []
        for source, facts in members:
            if facts.content in first:
                reason = f"is a duplicate: {first[facts.content].shown} has the same content"
                selection.refuse(source, reason, bad=False)
            else:
                first[facts.content] = source
                unique.append((source, facts))
        splits = _splits(unique, validation_fraction, test_fraction)
        if "train" not in splits and not any(source.split for source, _ in unique):
            selection.warnings.append((group, "so few pictures that all of them are for training"))
            splits = ["train"] * len(unique)
        selection.chosen += [ManifestEntry(s, d, split) for (s, d), split in zip(unique, splits, strict=True)]


def _splits(members: list[tuple[Source, Decoded]], validation_fraction: float, test_fraction: float) -> list[str]:
    """Each one's own split, or one by its content; what some have of their own is not held out of the others."""
    own = {source.split for source, _ in members}
    validation_fraction = 0.0 if "validation" in own else validation_fraction
    test_fraction = 0.0 if "test" in own else test_fraction
    return [s.split or split_by_hash(d.content, validation_fraction, test_fraction) for s, d in members]


def sort_key(chosen: ManifestEntry) -> tuple[str, str, float, str]:
    """The order of the manifest, see ``as_manifest``."""
    source = chosen.source
    return source.shot, source.domain, math.inf if source.frame is None else source.frame, source.shown
