import math

import numpy as np
import pytest
from skimage.data import astronaut

from stylegan_core.metrics import comparison
from stylegan_core.metrics.baselines import baselines, median
from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.swd import patch_swd


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return astronaut()[60:124, 180:244].astype(np.float32) / 255


def test_figures_beside_the_truth(picture: np.ndarray) -> None:
    truth = median(picture, 5)
    filters = comparison.tuned_to_truth([picture], [truth], baselines([truth]))
    row = comparison.truth_figures(picture * 0.9, picture, truth, filters)
    assert row["truth/psnr_db"] == pytest.approx(psnr_db(picture * 0.9, truth))
    assert row["truth/swd_unstylized"] == pytest.approx(patch_swd([picture], [truth], max_patches=None), rel=0.03)
    assert row["truth/swd_filter:median"] == 0.0  # the filter that painted the truth is found
    families = comparison.best_families(row)
    assert set(families) == {f"truth/{name}" for name in comparison.COMPARED}
    assert set(families.values()) == {"median"}
    named = comparison.with_best_filter(row, families)
    assert (named["truth/psnr_db_best_filter"], named["truth/mse_best_filter"]) == (100.0, 0.0)
    assert not [name for name in named if "filter:" in name]


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("truth/psnr_db", {"a": 20.0, "b": 30.0}, "b"),
        ("truth/mse", {"a": 0.01, "b": 0.02}, "a"),
        ("style/swd", {"a": 0.3, "b": 0.2}, "b"),
        ("truth/detail_ratio", {"a": 0.5, "b": 1.8}, "b"),
        ("truth/detail_ratio", {"a": 0.0, "b": 100.0}, "b"),
    ],
)
def test_the_best_filter_is_the_better_one_of_its_metric(metric: str, values: dict[str, float], best: str) -> None:
    assert comparison.best_families({f"{metric}_filter:{n}": v for n, v in values.items()}) == {metric: best}


def test_the_painters_own_figures_stand_beside_the_results(picture: np.ndarray) -> None:
    truth = median(picture, 5)
    row = comparison.content_figures(picture, picture, truth)
    assert row["content/psnr_db"] == 100.0
    assert row["content/psnr_db_truth"] == pytest.approx(psnr_db(truth, picture))
    styles = comparison.style_figures([truth], [picture], [truth], [truth], {})
    assert (styles["style/swd"], styles["style/swd_truth"]) == (0.0, 0.0)
    assert styles["style/swd_unstylized"] > 0.0
    assert "style/swd_truth" not in comparison.style_figures([truth], [picture], [], [truth], {})


def test_filters_are_tuned_to_the_style_where_nothing_is_paired(picture: np.ndarray) -> None:
    styles = [median(picture[::-1], 5)]
    filters = comparison.tuned_to_style([picture], styles, baselines(styles))
    assert list(filters) == ["swd"]
    assert filters["swd"][0].family != "reinhard"


def test_means_leave_out_what_is_not_finite() -> None:
    rows = [{"a": 1.0, "b": math.inf}, {"a": 3.0, "b": math.nan, "c": 5.0}]
    assert comparison.means(rows) == {"a": 2.0, "c": 5.0}


def test_shots_speak_for_truth_and_collections_for_style() -> None:
    summaries = {
        "sea": {"truth/swd": 0.1, "style/swd": 0.5},
        "sky": {"truth/swd": 0.3},
        "pictures": {"style/swd": 0.2, "truth/swd": 9.0},
    }
    kinds = {"sea": "shot", "sky": "shot", "pictures": "collection"}
    figures = comparison.overall(summaries, kinds)
    assert figures["truth/swd"] == pytest.approx(0.2)
    assert figures["style/swd"] == 0.2
    assert (figures["shot/sea/style/swd"], figures["collection/pictures/truth/swd"]) == (0.5, 9.0)
    assert comparison.overall({"sea": summaries["sea"]}, {"sea": "shot"}) == summaries["sea"]
