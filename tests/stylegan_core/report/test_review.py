import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from stylegan_core.report.review import FrameReview, Refused, ReviewData, ShotReview, render_review, write_review

FIGURES = {"truth/swd": 0.01, "truth/swd_unstylized": 0.03, "truth/swd_best_filter": 0.02, "truth/psnr_db": 20.0}


def flat(value):
    return np.full((24, 40, 3), value, np.float32)


def shot(name="sample", count=3, **more):
    frames = tuple(
        FrameReview(
            f"f.{i:04d}.png", flat(0.2), flat(0.8), i, flat(0.25) if i != 2 else None, i == 1, {"truth/swd": 0.01}
        )
        for i in range(1, count + 1)
    )
    return ShotReview(name, frames, **more)


def review(*shots, **more):
    return ReviewData("A <harbour> & more", "2026-01-31 12:00", shots or (shot(),), **{"figures": FIGURES, **more})


class Page(HTMLParser):
    """Tags that are opened and not closed, ids, and everything that would be fetched."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.fetched, self.names = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.names.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.fetched += [found[k] for k in ("src", "href", "poster") if found.get(k) and not found[k].startswith("#")]
        if tag not in self.VOID and tag not in ("path", "line", "polyline", "circle", "option"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag, f"{tag} is closed out of order"


def test_the_page_is_whole_and_fetches_nothing():
    text = render_review(review(shot("a", style=flat(0.5)), shot("b"), refused=(Refused("x.png", "empty", "prepare"),)))
    page = Page(text)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert page.fetched
    assert all(uri.startswith("data:") for uri in page.fetched)
    assert not re.search(r"@import|url\((?!data:)|\bfetch\(|XMLHttpRequest", text)


def test_equal_data_make_equal_bytes():
    assert render_review(review()) == render_review(review())


def test_text_from_outside_is_escaped():
    text = render_review(
        review(
            shot("</script><b>shot"),
            refused=(Refused("<img src=x>", "a & b", "prepare"),),
            lineage=(("Commit", "<i>abc"),),
            notes=("<u>note",),
        )
    )
    for raw in ("<harbour>", "<img src=x>", "<i>abc", "<u>note", "</script><b>shot"):
        assert raw not in text
    assert "A &lt;harbour&gt; &amp; more" in text


def test_the_frames_are_data_for_the_script():
    text = render_review(review(shot(count=4)))
    frames = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1])
    assert [f["number"] for f in frames] == [1, 2, 3, 4]
    assert [f["key"] for f in frames] == [True, False, False, False]
    assert [f["truth"] is None for f in frames] == [False, True, False, False]
    assert frames[2]["figures"] == "Patch SWD 0.0100"


def test_figures_stand_beside_baselines_with_the_winner_marked():
    text = render_review(review())
    row = text[text.index('class="name">Patch SWD<') :]
    row = row[: row.index("</tr>")]
    assert re.findall(r'data-title="([^"]+)"', row) == ["Result", "Untouched input", "Best filter"]
    assert row.count('class="best ours"') == 1
    assert "lower is better" in row


def test_what_is_not_known_is_left_out():
    text = render_review(review(figures={}))
    assert "<h2>Figures</h2>" not in text
    assert "<video" not in text
    assert ">Training<" not in text
    assert "every input was read" in text
    assert "No lineage" in text


def test_curves_movie_refusals_warnings_and_lineage_are_shown(tmp_path):
    from stylegan_core.frames.movies.preview_writer import write_preview

    (tmp_path / "c.csv").write_text("step,loss/generator/l1\n1,2\n2,1\n")
    write_preview([np.zeros((32, 48, 3), np.uint8)] * 2, tmp_path / "m.mp4")
    digest = "ab" * 32
    text = render_review(
        review(
            shot(curves=tmp_path / "c.csv", movie=tmp_path / "m.mp4", facts=(("Recipe", "keyframe"),)),
            refused=(Refused("bad.png", "the file ends early", "prepare"),),
            warnings=(Refused("odd.jpg", "holds a PNG"),),
            lineage=(("Model", digest),),
        )
    )
    for wanted in (
        "Generator losses",
        "data:video/mp4;base64,",
        "the file ends early",
        "holds a PNG",
        digest,
        "keyframe",
    ):
        assert wanted in text
    assert f"<code>{digest[:10]}</code>" in text


def test_a_change_of_size_has_no_difference_picture():
    big = ShotReview("x", (FrameReview("a.png", np.zeros((48, 80, 3), np.uint8), flat(0.5)),))
    assert "Difference ×" not in render_review(review(big))
    assert "Difference ×" in render_review(review())


def test_a_page_without_frames_is_an_error():
    with pytest.raises(ValueError, match="at least one shot"):
        render_review(ReviewData("p", "now", ()))
    with pytest.raises(ValueError, match="shot empty has no frame"):
        render_review(review(ShotReview("empty", ())))


def test_the_page_stays_within_its_limit(tmp_path):
    rng = np.random.default_rng(0)
    frames = [
        FrameReview(str(i), rng.integers(0, 256, (90, 160, 3), np.uint8), rng.integers(0, 256, (90, 160, 3), np.uint8))
        for i in range(60)
    ]
    data = review(ShotReview("a", tuple(frames)))
    write_review(tmp_path / "page.html", data, limit_bytes=600_000)
    assert (tmp_path / "page.html").stat().st_size < 900_000
