"""The table of formats in docs/film.md agrees with the code."""

from __future__ import annotations

from tests.docs.film_movies import LOSSY_MOVIES
from tests.docs.film_table import PAGE, all_rows, page_with


def test_the_table_is_what_trying_every_format_finds() -> None:
    rows = all_rows()
    assert all(row.read == "yes" and row.metadata.startswith("kept") for row in rows)
    # MXF and AVI cannot hold custom tags.
    assert [row.format[:3] for row in rows if row.metadata != "kept"] == ["MXF", "AVI"]
    exact = {row.format for row in rows if row.exact == "yes"}
    assert exact == {row.format for row in rows} - {"JPEG", "WebP"} - LOSSY_MOVIES
    again = page_with(rows)
    assert PAGE.read_text(encoding="utf-8") == again, "docs/film.md is stale: run python -m tests.docs.film_table"
