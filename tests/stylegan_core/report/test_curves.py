import re
from xml.etree import ElementTree

import numpy as np
import pytest

from stylegan_core.report.curves import Mark, Series, chart, read_columns, series_of, tick_texts, ticks, training_charts


def drawn(svg):
    """The root of the drawing; parsing proves that it is well formed."""
    return ElementTree.fromstring(svg)


def points(svg, kind="line"):
    found = [p for p in drawn(svg).iter("polyline") if kind in p.get("class").split()]
    return [np.array([pair.split(",") for pair in p.get("points").split()], float) for p in found]


def values(svg, polyline):
    """Pixel positions back into values, by the box and ranges that the drawing states."""
    left, right, foot, top = map(float, drawn(svg).get("data-box").split(","))
    x_low, x_high, y_low, y_high = map(float, drawn(svg).get("data-ranges").split(","))
    x = x_low + (polyline[:, 0] - left) / (right - left) * (x_high - x_low)
    return x, y_low + (foot - polyline[:, 1]) / (foot - top) * (y_high - y_low)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-0.3, 0.1, ["-0.3", "-0.2", "-0.1", "0.0", "0.1"]),
        (0.0, 2000.0, ["0", "500", "1,000", "1,500", "2,000"]),
        (17.4, 21.2, ["17", "18", "19", "20", "21", "22"]),
    ],
)
def test_ticks_are_round_and_enclose_the_range(low, high, expected):
    assert tick_texts(ticks(low, high, 5)) == expected


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5e-5, 1e9])
def test_a_range_of_one_value_still_has_ticks_around_it(value):
    found = ticks(value, value, 5)
    assert found[0] <= value <= found[-1]
    assert len(set(tick_texts(found))) == len(found) >= 2


@pytest.mark.parametrize("rate", [0.0004, 2e-4, 1 / 3])
def test_a_constant_curve_is_drawn_although_its_smoothed_values_differ_by_rounding(rate):
    steps = tuple(float(step) for step in range(750))
    drawn = chart("Learning rate", [Series("generator", steps, (rate,) * len(steps))], x_label="step")
    assert "nan" not in drawn.svg


def test_lines_stand_where_their_values_are():
    line = Series("loss", (0.0, 10.0, 40.0), (3.0, 1.0, 2.0))
    svg = chart("Loss", [line], x_label="step").svg
    x, y = values(svg, points(svg)[0])
    assert x == pytest.approx(line.x, abs=0.05)
    assert y == pytest.approx(line.y, abs=0.01)


def test_long_lines_are_thinned_and_smoothed_without_a_shift():
    x = np.arange(4000.0)
    noisy = 5.0 - x / 1000.0 + np.random.default_rng(0).normal(0.0, 0.3, x.size)
    svg = chart("Loss", [Series("loss", tuple(x), tuple(noisy))], x_label="step").svg
    (raw,), (line,) = points(svg, "raw"), points(svg)
    assert len(raw) == len(line) <= 400
    at, level = values(svg, line)
    assert np.abs(level - (5.0 - at / 1000.0)).max() < 0.15


def test_a_single_point_is_a_dot_and_marks_are_escaped():
    svg = chart(
        "One & <only>", [Series("a", (5.0,), (1.0,))], x_label="frame", marks=[Mark(5.0, "<key>"), Mark(99.0, "out")]
    ).svg
    root = drawn(svg)
    assert root.get("aria-label") == "One & <only>"
    assert len(list(root.iter("circle"))) == 1
    assert [t.text for t in root.iter("text") if t.get("class") == "marked"] == ["<key>"]
    with pytest.raises(ValueError, match="at least one"):
        chart("none", [], x_label="step")


def test_columns_are_numbers_with_holes(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("step,loss,word,validation/psnr_db\n2,nan,a,\n1,0.5,b,17\n3,inf,c,18.5\n")
    columns = read_columns(path)
    assert list(columns) == ["step", "loss", "validation/psnr_db"]
    series = {s.name: s for s in series_of(columns, "step")}
    assert series["loss"] == Series("loss", (1.0,), (0.5,))
    assert series["validation/psnr_db"] == Series("validation/psnr_db", (1.0, 3.0), (17.0, 18.5))


def test_a_training_has_charts_of_its_losses_and_of_each_validation_metric(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text(
        "step,loss/generator/l1,loss/generator/adversarial,loss/discriminator/real,validation/psnr_db,validation/swd,learning_rate/generator\n"
        "0,1,2,0.5,17,0.02,0.1\n100,0.5,1.5,0.4,19,0.01,0.1\n"
    )
    charts = {c.title: c for c in training_charts(path, kept_step=100)}
    assert set(charts) == {
        "Generator losses", "Discriminator losses", "Validation: PSNR, dB", "Validation: Patch SWD", "Learning rate",
    }  # fmt: skip
    assert [name for _, name, _ in charts["Generator losses"].legend] == ["l1", "adversarial"]
    assert charts["Validation: PSNR, dB"].note == "higher is better"
    assert re.search(r">kept<", charts["Validation: Patch SWD"].svg)
    assert training_charts_of(tmp_path, "step\n") == []


def training_charts_of(folder, text):
    (folder / "empty.csv").write_text(text)
    return training_charts(folder / "empty.csv")


def test_the_alarm_gets_no_chart(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("step,validation/diversity,validation/collapsed,validation/score\n1,0.5,0,3\n2,0.01,1,2\n")
    assert [chart.title for chart in training_charts(path)] == ["Validation: Diversity"]
