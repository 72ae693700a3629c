import math

import pytest

from stylegan_core.report.figures import figure_table, headlines, shown, split_name

FIGURES = {
    "truth/swd": 0.0061,
    "truth/swd_unstylized": 0.0289,
    "truth/swd_best_filter": 0.0122,
    "truth/detail_ratio": 1.02,
    "truth/detail_ratio_unstylized": 1.9,
    "truth/detail_ratio_best_filter": 0.6,
    "truth/psnr_db": 21.0,
    "truth/psnr_db_unstylized": 17.4,
    "truth/psnr_db_best_filter": 21.6,
    "temporal/warp_error": 0.012,
    "temporal/warp_error_unstylized": 0.004,
    "temporal/warp_error_truth": 0.024,
    "content/psnr_db": 18.0,
    "speed/images_per_s": 12.5,
    "odd/figure_l1_only": 3.0,
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("truth/swd", ("truth/swd", "")),
        ("truth/swd_best_filter", ("truth/swd", "best_filter")),
        ("truth/psnr_db_unstylized", ("truth/psnr_db", "unstylized")),
        ("temporal/warp_error_truth", ("temporal/warp_error", "truth")),
        ("truth/swd_l1_only", ("truth/swd", "l1_only")),
        ("new/thing_db", ("new/thing_db", "")),
        ("new/thing_db_truth", ("new/thing_db", "truth")),
    ],
)
def test_names_split_into_metric_and_subject(name, expected):
    assert split_name(name) == expected


def winners(name):
    rows = [row for group in figure_table(FIGURES).groups for row in group.rows]
    return next(row.winners for row in rows if row.metric.name == name)


def test_the_winner_is_the_lowest_highest_or_nearest_to_one():
    assert winners("truth/swd") == {""}
    assert winners("truth/psnr_db") == {"best_filter"}
    assert winners("truth/detail_ratio") == {""}


def test_half_the_detail_is_as_wrong_as_twice_the_detail():
    table = figure_table({"truth/detail_ratio": 2.1, "truth/detail_ratio_unstylized": 0.5})
    assert table.groups[0].rows[0].winners == {"unstylized"}


def test_the_painter_is_a_reference_and_does_not_compete_and_stands_last():
    table = figure_table(FIGURES)
    assert list(table.subjects)[-1] == "truth"
    assert winners("temporal/warp_error") == {"unstylized"}
    assert "truth" not in winners("temporal/warp_error")


def test_a_figure_with_no_rival_or_no_direction_has_no_winner():
    assert winners("content/psnr_db") == frozenset()
    assert winners("speed/images_per_s") == frozenset()


def test_ties_are_shared():
    table = figure_table({"truth/mse": 0.5, "truth/mse_unstylized": 0.5})
    assert table.groups[0].rows[0].winners == {"", "unstylized"}


def test_unknown_metrics_and_baselines_are_kept_and_not_finite_ones_left_out():
    table = figure_table({**FIGURES, "truth/ssim": math.nan})
    names = [row.metric.name for group in table.groups for row in group.rows]
    assert "odd/figure_l1_only" in names
    assert "truth/ssim" not in names
    assert [g.title for g in table.groups][-1] == "Further figures"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0061, 0.0289], ["0.00610", "0.02890"]),
        ([20.5, 17.44], ["20.50", "17.44"]),
        ([1.02, 0.13], ["1.02", "0.13"]),
        ([0.0, 0.5], ["0.000", "0.500"]),
        ([12345.0], ["12,345"]),
        ([0.0], ["0.00"]),
    ],
)
def test_numbers_of_a_row_have_equal_decimals(values, texts):
    assert shown(values) == texts


def test_headlines_say_what_was_beaten():
    by_value = {h.value: h for h in headlines(FIGURES)}
    assert by_value["0.21×"].good is True
    assert "best filter 0.0122" in by_value["0.21×"].note
    assert by_value["1.02"].good is True
    assert by_value["+3.6 dB"].good is True
    # still pictures flicker less than any painting: the input stands beside it, and is not what must be beaten
    assert by_value["0.50×"].good is True
    assert "untouched input 0.00400" in by_value["0.50×"].note
    worse = headlines({**FIGURES, "truth/swd_best_filter": 0.005, "truth/detail_ratio": 0.4})
    assert [h.good for h in worse[:2]] == [False, False]
    assert headlines({}) == []


def test_unpaired_work_is_headed_by_its_distance_to_the_style():
    unpaired = {"style/swd": 0.01, "style/swd_unstylized": 0.04, "style/swd_best_filter": 0.009}
    (headline,) = headlines(unpaired)
    assert headline.value == "0.25×"
    assert headline.good is False
    assert all("style" not in h.label for h in headlines({**FIGURES, **unpaired}))
