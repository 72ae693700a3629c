import io
import math

import pandas as pd
import pytest

from stylegan_core.training.curves import NotFiniteError, Window, write_curves


def test_means_are_over_the_steps_that_had_a_term():
    window = Window()
    for step in range(4):
        window.add(step, {"l1": float(step)} | ({"r1": 10.0} if step % 4 == 0 else {}))
    assert window.means() == {"l1": 1.5, "r1": 10.0}
    assert window.means() == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_named_with_its_step_and_what_to_try(value):
    window = Window()
    window.add(0, {"loss/generator/l1": 1.0})
    with pytest.raises(NotFiniteError, match=r"loss/generator/l1 is .* at step 7.*learning rate.*gradient_clip.*fp32"):
        window.add(7, {"loss/discriminator/r1": 1.0, "loss/generator/l1": value})
    assert window.means() == {"loss/generator/l1": 1.0}


def test_the_csv_reads_in_pandas_and_gaps_are_gaps(tmp_path):
    path = tmp_path / "new" / "curves.csv"
    write_curves(path, [{"step": 5, "b": 1 / 3, "a": 2.0}, {"step": 10, "b": 1e-7}])
    table = pd.read_csv(io.BytesIO(path.read_bytes()))
    assert list(table.columns) == ["step", "a", "b"]
    assert table["step"].tolist() == [5, 10]
    assert math.isnan(table["a"][1])
    assert table["b"].tolist() == pytest.approx([1 / 3, 1e-7], rel=1e-5)


def test_equal_rows_give_equal_bytes(tmp_path):
    write_curves(tmp_path / "a", [{"step": 1, "x": 0.1, "y": 2.0}])
    write_curves(tmp_path / "b", [{"y": 2.0, "x": 0.1, "step": 1}])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
