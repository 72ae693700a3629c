"""The summary of a run: a row of each stage and shot, figures, and the way to the review page."""

import numpy as np
from PIL import Image

from stylegan_core.report.figures import METRICS
from tasks.shared.lineage import PipelineLink
from tasks.stages.figures_files import write_figures
from tasks.stages.run_summary import summarize_run
from tasks.stages.stage_reports import REPORT_NAME, FailedInput, ItemReport, stylize_report_text


def rows_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_stages_shots_and_figures_have_rows(tmp_path):
    stylized, reports = tmp_path / "out" / "stylized", tmp_path / "reports"
    (stylized / "bridge").mkdir(parents=True)
    reports.mkdir()
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(stylized / "bridge" / "0001.png")
    failed = (FailedInput(path="tower/0002.png", reason="torn"),)
    items = {"bridge": ItemReport(frames=1), "tower": ItemReport(frames=2, failed=failed)}
    (stylized / REPORT_NAME).write_text(stylize_report_text(items))
    write_figures({"style/swd": 0.25, "style/swd_unstylized": 0.5}, reports)
    (tmp_path / "params.yaml").write_text("stylize: {}\n")
    link = PipelineLink(
        flow_run_id="", git_commit="0123456789abcdef", project="film", dvc_lock="", models={}, gate="promoted", time=""
    )

    text = summarize_run(tmp_path, link, {"prepare": "ran", "train": "Skipped: nothing changed"})

    assert text.startswith("## film at commit `0123456789ab`\n\npromoted\n")
    rows = rows_of(text)
    assert ["stage", "state"] in rows
    assert ["train", "Skipped: nothing changed"] in rows
    assert [row for row in rows if row[0] in ("shot", "bridge", "tower")] == [
        ["shot", "frames", "failed"],
        ["bridge", "1", "0"],
        ["tower", "2", "1"],
    ]
    assert [row[:3] for row in rows if row[0] == METRICS["style/swd"].title] == [
        [METRICS["style/swd"].title, "0.25", "0.5"]
    ]
    assert "![bridge](data:image/" in text
    assert "![tower]" not in text
    assert str(reports / "review.html") in text
