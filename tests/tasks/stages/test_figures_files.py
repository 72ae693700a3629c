import json
from pathlib import Path

from tasks.stages.figures_files import read_figures, write_figures


def test_speed_is_apart_so_that_a_second_measurement_changes_no_input_of_stylize(tmp_path: Path) -> None:
    quality = {"truth/swd": 0.1, "shot/speedway/truth/swd": 0.2, "shot/speed/truth/swd": 0.3}
    speed = {"speed/images_per_s": 12.5, "shot/speedway/speed/images_per_s": 10.0, "shot/speed/speed/images_per_s": 9.0}
    write_figures(quality | speed, tmp_path)
    first = (tmp_path / "metrics.json").read_bytes()
    assert json.loads(first) == quality
    assert json.loads((tmp_path / "speed.json").read_text()) == speed
    assert read_figures(tmp_path) == quality | speed
    write_figures(quality | {"speed/images_per_s": 99.0}, tmp_path)
    assert (tmp_path / "metrics.json").read_bytes() == first


def test_figures_of_before_are_in_one_file(tmp_path: Path) -> None:
    assert read_figures(tmp_path) == {}
    (tmp_path / "metrics.json").write_text('{"truth/swd": 0.1, "speed/images_per_s": 2}')
    assert read_figures(tmp_path) == {"truth/swd": 0.1, "speed/images_per_s": 2.0}
