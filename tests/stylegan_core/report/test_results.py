import json
from pathlib import Path

import pytest

from stylegan_core.report.results import Result, ResultsError, fill_tables, main, read_results, record_results

DOCS = Path(__file__).parents[3] / "docs"


def result(name, value, *, recipe="keyframe", seed=0, unit="1", machine="2 CPU cores"):
    status = "pending GPU" if value is None else "measured"
    return Result(
        recipe=recipe, name=name, value=value, status=status, unit=unit, command="make demo", seed=seed,
        machine=machine, date="2026-01-31",
    )  # fmt: skip


def filled(options, results):
    text = fill_tables(f"before\n<!-- results {options} -->\nold\n<!-- /results -->\nafter\n", results)
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_documents_are_in_step_with_results_json(capsys):
    assert main(["--docs", str(DOCS), "--check"]) == 0, (
        capsys.readouterr().out + "run python -m stylegan_core.report.results"
    )


def test_a_list_has_a_row_for_each_entry():
    table = filled('match="speed/*"', [result("speed/images_per_s", 12.5, unit="1/s"), result("other", 1.0)])
    assert table[0][:4] == ["recipe", "figure", "value", "unit"]
    assert table[2:] == [["keyframe", "`speed/images_per_s`", "12.50", "1/s", "`make demo`", "0", "2 CPU cores",
                          "2026-01-31"]]  # fmt: skip


def test_a_pivot_has_rows_and_columns_from_the_name_and_seeds_become_a_mean():
    results = [
        result("ablation/gan/truth/swd", 0.010),
        result("ablation/gan/truth/swd", 0.014, seed=1),
        result("ablation/l1/truth/swd", 0.031),
        result("ablation/gan/truth/psnr_db", 21.0, unit="dB"),
    ]
    table = filled('match="ablation/{row}/{column}" heading="variant"', results)
    assert table[0] == ["variant", "`truth/swd` ↓", "`truth/psnr_db` ↑ dB"]
    assert table[2:] == [["gan", "0.01200 ± 0.00283", "21.00"], ["l1", "0.0310", ""]]


def test_the_columns_of_a_pivot_can_be_chosen_and_ordered():
    results = [result("ablation/gan/a", 1.0), result("ablation/gan/b", 2.0), result("ablation/gan/c", 3.0)]
    table = filled('match="ablation/{row}/{column}" columns="c,a" heading="variant"', results)
    assert table[0] == ["variant", "`c`", "`a`"]
    assert table[2] == ["gan", "3.00", "1.00"]


def test_a_pivot_without_rows_in_the_name_has_a_row_for_each_recipe():
    results = [result("truth/ssim", 0.5), result("truth/ssim", None, recipe="cut")]
    table = filled('match="{column}"', results)
    assert table[0] == ["recipe", "`truth/ssim` ↑"]
    assert table[2:] == [["keyframe", "0.500"], ["cut", "pending GPU"]]


def test_a_table_of_baselines_emphasises_the_winner():
    results = [result("truth/swd", 0.01), result("truth/swd_unstylized", 0.03)]
    table = filled('match="truth/*" layout="baselines"', results)
    assert table[0] == ["figure", "better", "result", "untouched input", "unit"]
    assert table[2] == ["Patch SWD (`truth/swd`)", "↓", "**0.0100**", "0.0300", ""]
    with pytest.raises(ResultsError, match="several"):
        filled('match="truth/*" layout="baselines"', [*results, result("truth/swd", 0.02, seed=1)])


def test_filling_twice_changes_nothing():
    results = [result("a", 1.0)]
    once = fill_tables('<!-- results match="a" -->\n<!-- /results -->\n', results)
    assert fill_tables(once, results) == once


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!-- results match="a" -->\n', "needs its"),
        ('<!-- results match="a,{column}" -->\n<!-- /results -->\n', "takes one pattern"),
        ('<!-- results mach="a" -->\n<!-- /results -->\n', "unknown option mach"),
    ],
)
def test_wrong_markers_are_errors_that_name_the_document(text, message):
    with pytest.raises(ResultsError, match=f"page.md.*{message}"):
        fill_tables(text, [result("a", 1.0)], "page.md")


def test_recording_replaces_the_same_figure_and_what_was_pending(tmp_path):
    path = tmp_path / "results.json"
    record_results(path, [result("a", None, machine="one H200"), result("b", 2.0), result("a", None, recipe="cut")])
    record_results(path, [result("a", 1.0), result("b", 3.0)])
    entries = {(r.recipe, r.name): r.value for r in read_results(path)}
    assert entries == {("keyframe", "a"): 1.0, ("keyframe", "b"): 3.0, ("cut", "a"): None}


def test_a_value_that_does_not_fit_its_status_or_a_double_entry_is_refused(tmp_path):
    path = tmp_path / "results.json"
    entry = result("a", 1.0).model_dump()
    for wrong in ([{**entry, "value": None}], [{**entry, "date": "31.1."}], [entry, entry], [{"name": "a"}]):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ResultsError, match=r"results\.json"):
            read_results(path)


def test_the_command_fills_documents_and_check_only_reports(tmp_path, capsys):
    (tmp_path / "results.json").write_text(json.dumps([result("a", 1.0).model_dump()]))
    page = tmp_path / "page.md"
    page.write_text('<!-- results match="a" -->\n<!-- /results -->\n')
    assert main(["--docs", str(tmp_path), "--check"]) == 1
    assert "1.00" not in page.read_text()
    assert main(["--docs", str(tmp_path)]) == 0
    assert "1.00" in page.read_text()
    assert main(["--docs", str(tmp_path), "--check"]) == 0
    (tmp_path / "results.json").write_text("{")
    assert main(["--docs", str(tmp_path)]) == 2
    assert "results.json" in capsys.readouterr().err


def test_several_patterns_and_a_status_narrow_the_choice_and_nothing_is_said_to_be_nothing():
    results = [result("a/x", 1.0), result("b/x", 2.0), result("c/x", None)]
    assert [row[1] for row in filled('match="a/*,b/*"', results)[2:]] == ["`a/x`", "`b/x`"]
    assert [row[1] for row in filled('match="*" status="pending GPU"', results)[2:]] == ["`c/x`"]
    assert filled('match="z"', results) == []


def test_a_metrics_file_is_published_with_its_units(tmp_path):
    (tmp_path / "metrics.json").write_text('{"truth/psnr_db": 21.5, "truth/psnr_db_unstylized": 17.0}')
    options = ["--recipe", "keyframe", "--command", "make demo", "--seed", "3", "--machine", "2 CPU cores"]
    arguments = ["--docs", str(tmp_path), "--add", str(tmp_path / "metrics.json"), *options]
    assert main([*arguments, "--prefix", "ablation/gan/"]) == 0
    entries = read_results(tmp_path / "results.json")
    assert [(r.name, r.value, r.unit, r.seed) for r in entries] == [
        ("ablation/gan/truth/psnr_db", 21.5, "dB", 3),
        ("ablation/gan/truth/psnr_db_unstylized", 17.0, "dB", 3),
    ]
