"""Selects which decoded sources become data: equal sizes, partners, duplicates, splits and held-out areas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from stylegan_core.data.manifest import Box
from stylegan_core.data.shots import mask_source
from stylegan_core.data.sources import Source, SourceError, abbreviate
from stylegan_core.data.splits import held_out_box, split_by_hash

_Pair = tuple[Source, Source]
"""A content picture and its style picture."""


@dataclass(frozen=True)
class Refusal:
    """A source that does not become data.

    Attributes:
        path: its path in the manifest's form.
        reason: in words.
        group: the listing that it belongs to.
        bad: it counts for ``max_bad_fraction``; a duplicate does not, since its content is in the data.
    """

    path: str
    reason: str
    group: str
    bad: bool = True


@dataclass
class Selection:
    """The outcome of ``select``.

    Attributes:
        chosen: the sources that become data, with their splits, held-out areas and masks.
        refused: all others, with reasons.
        warnings: (path or group, in words).
        group_sizes: how many sources each group has.
        mask_refusals: why a style frame's mask is refused, by the style frame's path.
    """

    chosen: list[Source] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    group_sizes: Counter[str] = field(default_factory=Counter)
    mask_refusals: dict[str, str] = field(default_factory=dict)

    def refuse(self, source: Source, reason: str, bad: bool = True) -> None:
        """Adds ``source`` to the refused."""
        self.refused.append(Refusal(source.display_path, reason, source.group, bad))

    def over(self, max_bad_fraction: float) -> list[Refusal]:
        """The bad sources of each group in which their share exceeds ``max_bad_fraction``."""
        bad = Counter(refusal.group for refusal in self.refused if refusal.bad)
        over = {group for group, count in bad.items() if count > max_bad_fraction * self.group_sizes[group]}
        return [refusal for refusal in self.refused if refusal.bad and refusal.group in over]


def alpha_masks(sources: Sequence[Source]) -> list[Source]:
    """Mask sources for decoded style frames that have no mask file but an alpha channel that is not opaque."""
    masked = {source.masked for source in sources if source.role == "mask"}
    return [
        mask_source(source.path, source.display_path, source.shot, source.frame, source.display_path)
        for source in sources
        if _is_style_frame(source) and source.facts.translucent and source.display_path not in masked
    ]


def select(sources: Iterable[Source], *, validation_fraction: float, test_fraction: float) -> Selection:
    """Selects what becomes data.

    The outcome does not depend on the order of the sources, and pictures added to a collection move no other to
    another split.

    Args:
        sources: all of them, decoded, masks included.
        validation_fraction: of a collection; of the area of a style frame.
        test_fraction: of a collection.
    """
    ordered = sorted(sources, key=lambda source: (source.display_path, source.role))
    selection = Selection(group_sizes=Counter(source.group for source in ordered))
    good: list[Source] = []
    for source in ordered:
        shown, refusal = source.display_path, source.facts.refusal
        selection.warnings += [(shown, warning) for warning in source.facts.warnings if source.masked != shown]
        if not refusal:
            good.append(source)
            continue
        selection.refuse(source, refusal)
        if source.role == "mask":
            selection.mask_refusals[source.masked] = f"{shown} {refusal}"
    _select_shots(selection, good, validation_fraction)
    _select_pairs(selection, good, validation_fraction, test_fraction)
    _select_collections(selection, good, validation_fraction, test_fraction)
    return selection


def check_usable(selection: Selection, shots: Iterable[str]) -> None:
    """Raises if there is nothing to learn from.

    Raises:
        SourceError: a shot has no usable style frame, all pictures of a collection are refused, or none is for
            training.
    """
    painted = {source.shot for source in selection.chosen if _is_style_frame(source)}
    for shot in shots:
        if shot not in painted:
            raise SourceError(f"shot {shot}: no painted frame can be used{_because(selection, f'shot {shot}')}")
    used = {source.group for source in selection.chosen}
    for group in selection.group_sizes:
        if group not in used and " of shot " not in group:
            raise SourceError(f"{group}: no picture can be used{_because(selection, group)}")
    for group in sorted({source.group for source in selection.chosen if source.listed_split}):
        if all(source.split != "train" for source in selection.chosen if source.group == group):
            raise SourceError(f"{group}: no picture is in the split train, so there is nothing to learn from")


def _because(selection: Selection, group: str) -> str:
    reasons = [f"{r.path} {r.reason}" for r in selection.refused if r.group.endswith(group)]
    return f": {abbreviate(reasons, 3)}" if reasons else ""


def _is_style_frame(source: Source) -> bool:
    return source.role == "shot" and source.domain == "style"


def _select_shots(selection: Selection, good: Sequence[Source], validation_fraction: float) -> None:
    frames = [source for source in good if source.role == "shot"]
    contents = {(source.shot, source.frame): source for source in frames if source.domain == "content"}
    masks = {source.masked: source for source in good if source.role == "mask"}
    held_out: dict[str, Box | None] = {}  # by pair
    for source in frames:
        if source.domain == "content":
            continue
        content, mask = contents.get((source.shot, source.frame)), masks.get(source.display_path)
        if content is None:
            selection.refuse(source, f"cannot be used: the plate of frame {source.frame} is refused")
            continue
        reason = _size_differs(source, "plate", content)
        if source.domain == "style":
            reason = reason or _mask_refusal(source, mask, selection.mask_refusals.get(source.display_path))
        if reason:
            selection.refuse(source, reason)
        elif source.domain == "truth":
            selection.chosen.append(replace(source, split="test"))
        else:
            area, facts = mask.facts.mask_box if mask else None, source.facts
            box = held_out_box(content.facts.corner, facts.width_px, facts.height_px, validation_fraction, area)
            held_out[source.pair] = box
            selection.chosen.append(replace(source, split="train", held_out=box, mask=mask))
    for source in contents.values():
        # A content frame whose style frame is refused is an unpainted one.
        pair, split = source.pair if source.pair in held_out else "", "train" if source.keep else "test"
        selection.chosen.append(replace(source, pair=pair, split=split, held_out=held_out.get(source.pair)))


def _mask_refusal(source: Source, mask: Source | None, refused: str | None) -> str:
    if refused:
        return f"cannot be used: its mask {refused}"
    if mask is None:
        return ""
    if mask.facts.mask_box is None:
        return f"cannot be used: its mask {mask.display_path} is black everywhere"
    return _size_differs(source, "mask", mask)


def _size_differs(source: Source, what: str, other: Source) -> str:
    own, others = source.facts, other.facts
    if (own.width_px, own.height_px) == (others.width_px, others.height_px):
        return ""
    return (
        f"is {own.width_px} x {own.height_px}, but its {what} {other.display_path} is "
        f"{others.width_px} x {others.height_px}: they must have the same size"
    )


def _select_pairs(
    selection: Selection, good: Sequence[Source], validation_fraction: float, test_fraction: float
) -> None:
    pairs = _matched_pairs(selection, good)
    free = [content for content, _ in pairs if not content.shot]  # pairs that help a shot all train
    listed = any(content.listed_split for content in free)
    splits = _splits(free, validation_fraction, test_fraction)
    if free and "train" not in splits and not listed:
        splits = ["train"] * len(free)
    boxed = bool(free) and validation_fraction > 0 and "validation" not in splits and not listed
    if boxed:
        selection.warnings.append((free[0].group, "so few pairs that areas of them are held out for validation"))
    by_pair = dict(zip((content.pair for content in free), splits, strict=True))
    for pair in pairs:
        content, facts = pair[0], pair[0].facts
        split = by_pair.get(content.pair, "train")
        box = None
        if boxed and split == "train" and not content.shot:
            box = held_out_box(facts.corner, facts.width_px, facts.height_px, validation_fraction)
        selection.chosen += [replace(source, split=split, held_out=box) for source in pair]


def _matched_pairs(selection: Selection, good: Sequence[Source]) -> list[_Pair]:
    """The pairs of which both halves are good, have one size and are not a duplicate, by pair id."""
    halves: dict[str, dict[str, Source]] = {}
    for source in good:
        if source.role == "pair":
            halves.setdefault(source.pair, {})[source.domain] = source
    seen: dict[tuple[str, str, str], str] = {}
    matched: list[_Pair] = []
    for pair in sorted(halves):
        found = halves[pair]
        if len(found) < 2:
            selection.refuse(next(iter(found.values())), "cannot be used: its partner is refused")
            continue
        content, style = found["content"], found["style"]
        if reason := _size_differs(style, "partner", content):
            selection.refuse(style, reason)
            selection.refuse(content, "cannot be used: its partner has another size")
            continue
        key = (content.shot, content.facts.pixels_sha256, style.facts.pixels_sha256)
        if key in seen:
            for source in (content, style):
                selection.refuse(source, f"is a duplicate: the pair {seen[key]} has the same content", bad=False)
            continue
        seen[key] = pair
        matched.append((content, style))
    return matched


def _select_collections(
    selection: Selection, good: Sequence[Source], validation_fraction: float, test_fraction: float
) -> None:
    collections: dict[str, list[Source]] = {}
    for source in good:
        if source.role == "collection":
            collections.setdefault(source.group, []).append(source)
    for group, members in collections.items():
        first: dict[str, Source] = {}
        for source in members:
            known = first.setdefault(source.facts.pixels_sha256, source)
            if known is not source:
                reason = f"is a duplicate: {known.display_path} has the same content"
                selection.refuse(source, reason, bad=False)
        unique = list(first.values())
        splits = _splits(unique, validation_fraction, test_fraction)
        if "train" not in splits and not any(source.listed_split for source in unique):
            selection.warnings.append((group, "so few pictures that all of them are for training"))
            splits = ["train"] * len(unique)
        selection.chosen += [replace(source, split=split) for source, split in zip(unique, splits, strict=True)]


def _splits(members: Sequence[Source], validation_fraction: float, test_fraction: float) -> list[str]:
    """Each one's listed split, or one by its content; a split that some list is not drawn for the others."""
    listed = {source.listed_split for source in members}
    validation_fraction = 0.0 if "validation" in listed else validation_fraction
    test_fraction = 0.0 if "test" in listed else test_fraction
    return [
        source.listed_split or split_by_hash(source.facts.pixels_sha256, validation_fraction, test_fraction)
        for source in members
    ]
