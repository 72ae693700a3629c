"""The review page in a real browser, from a file, offline: the display follows the input events."""

from __future__ import annotations

import os
import shutil
import warnings

import numpy as np
import pytest

from stylegan_core.frames.movies.preview_writer import write_preview
from stylegan_core.report.review import FrameReview, Refused, ReviewData, ShotReview, write_review

WIDTH, HEIGHT, FRAMES = 192, 120, 6
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def browser_path():
    found = os.environ.get("STYLEREEL_BROWSER") or next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        message = "NOT PROVEN: no Chromium on the PATH, so nobody has looked at the review page (set STYLEREEL_BROWSER)"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return found


def flat(*rgb):
    return np.tile(np.array(rgb, np.uint8), (HEIGHT, WIDTH, 1))


def colours(number):
    """Of frame ``number``: its input is blue, its result red, the painter's green, each a little different."""
    return {
        "original": (0, 0, 100 + 20 * number),
        "result": (100 + 20 * number, 0, 0),
        "truth": (0, 100 + 20 * number, 0),
    }


def shot(name, folder, numbers):
    frames = [
        FrameReview(
            f"{name}.{n:04d}.png",
            flat(*colours(n)["result"]),
            flat(*colours(n)["original"]),
            n,
            None if n == 3 else flat(*colours(n)["truth"]),
            key=n == 2,
            figures={"truth/swd": 0.01 * n, "truth/swd_unstylized": 0.05},
        )
        for n in numbers
    ]
    movie = folder / f"{name}.mp4"
    write_preview([flat(100 + 20 * n, 0, 0) for n in numbers for _ in range(4)], movie)
    curves = folder / f"{name}.csv"
    rows = [f"{s},{1 / s},{20 - 3 / s}" for s in range(1, 200)]
    curves.write_text("\n".join(["step,loss/generator/l1,validation/psnr_db", *rows]) + "\n")
    return ShotReview(name, tuple(frames), (("Recipe", "keyframe"),), flat(200, 200, 0), movie=movie, curves=curves)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a page with spaces")
    data = ReviewData(
        "Proof",
        "2026-01-31",
        (shot("one", folder, range(1, FRAMES + 1)), shot("two", folder, (4, 5))),
        {"truth/swd": 0.01, "truth/swd_unstylized": 0.04, "truth/swd_best_filter": 0.02},
        (("Commit", "c0ffee" * 7),),
        (Refused("bad.png", "the file is empty", "prepare"),),
    )
    write_review(folder / "review.html", data)
    moved = tmp_path_factory.mktemp("elsewhere") / "review.html"
    shutil.move(folder / "review.html", moved)
    shutil.rmtree(folder)  # it must not need other files
    return moved


@pytest.fixture(scope="module")
def browser():
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


class Opened:
    """The page, and the messages and requests of the browser."""

    def __init__(self, browser, file, **options):
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.until(0)

    def until(self, frame):
        """Waits until ``frame`` (its place) of the chosen shot is drawn."""
        self.page.wait_for_function("n => shown().root.dataset.shown === String(n)", arg=frame, timeout=10_000)

    def pixel(self, fraction):
        """Colour of the screenshot at this share of the picture's width, a third down, after any clipping."""
        stage = self.page.locator(".shot:not([hidden]) .stage")
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        clip = {"x": box["x"] + fraction * box["width"], "y": box["y"] + box["height"] / 3, "width": 2, "height": 2}
        return decode_png(self.page.screenshot(clip=clip))

    def range(self, name, value):
        self.page.locator(f".shot:not([hidden]) input.{name}").evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }", value
        )


def decode_png(content):
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int64)[0, 0]


def looks_like(pixel, number, kind):
    return np.abs(pixel - np.array(colours(number)[kind])).max() <= 14


@pytest.fixture
def opened(browser, page_file):
    page = Opened(browser, page_file)
    yield page
    page.context.close()
    assert page.said == [], "the console must stay empty"
    assert [url for url in page.asked if not url.startswith(("data:", "file:"))] == []
    assert sum(url.startswith("file:") for url in page.asked) == 1


def test_the_wipe_divides_the_picture(opened):
    assert looks_like(opened.pixel(0.25), 1, "original")
    assert looks_like(opened.pixel(0.75), 1, "result")
    opened.range("wipe", 10)
    assert looks_like(opened.pixel(0.25), 1, "result")
    opened.range("wipe", 90)
    assert looks_like(opened.pixel(0.75), 1, "original")


def test_dragging_and_keys_move_the_wipe(opened):
    stage = opened.page.locator(".shot:not([hidden]) .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"] * 0.2, middle, steps=5)
    opened.page.mouse.up()
    assert looks_like(opened.pixel(0.1), 1, "original")
    assert looks_like(opened.pixel(0.3), 1, "result")
    wiper = opened.page.locator(".shot:not([hidden]) input.wipe")
    assert float(wiper.input_value()) == pytest.approx(20, abs=1)
    opened.page.mouse.move(box["x"] + box["width"] * 0.8, middle)  # not held: nothing moves
    assert looks_like(opened.pixel(0.3), 1, "result")
    wiper.focus()
    opened.page.keyboard.press("End")
    assert looks_like(opened.pixel(0.9), 1, "original")


def test_the_scrubber_keys_and_thumbnails_change_the_frame(opened):
    where = opened.page.locator(".shot:not([hidden]) .where")
    opened.range("frame", 4)
    opened.until(4)
    assert looks_like(opened.pixel(0.25), 5, "original")
    assert looks_like(opened.pixel(0.75), 5, "result")
    assert where.inner_text() == "5"
    opened.page.locator(".shot:not([hidden]) .screen").focus()
    for key, frame in (
        ("ArrowLeft", 3),
        ("ArrowRight", 4),
        ("Home", 0),
        ("End", FRAMES - 1),
        ("ArrowRight", FRAMES - 1),
    ):
        opened.page.keyboard.press(key)
        opened.until(frame)
        assert looks_like(opened.pixel(0.75), frame + 1, "result")
    opened.page.locator(".shot:not([hidden]) .contact button").nth(1).click()
    opened.until(1)
    assert looks_like(opened.pixel(0.75), 2, "result")
    assert "key frame" in where.inner_text()
    assert "Patch SWD 0.0200" in opened.page.locator(".shot:not([hidden]) .numbers").inner_text()


def test_the_painter_can_stand_on_the_other_side(opened):
    opened.page.get_by_text("Painter", exact=True).first.click()
    opened.page.wait_for_function("() => document.querySelector('.pill.left').textContent === 'Painter'")
    assert looks_like(opened.pixel(0.25), 1, "truth")
    assert looks_like(opened.pixel(0.75), 1, "result")
    opened.range("frame", 2)  # nobody painted this one
    opened.until(2)
    assert looks_like(opened.pixel(0.25), 3, "original")
    assert "no painting" in opened.page.locator(".shot:not([hidden]) .pill.left").inner_text()


def test_holding_o_flips_and_space_plays(opened):
    opened.page.locator(".shot:not([hidden]) .screen").focus()
    opened.page.keyboard.down("o")
    assert looks_like(opened.pixel(0.75), 1, "original")
    opened.page.keyboard.up("o")
    assert looks_like(opened.pixel(0.75), 1, "result")
    opened.page.keyboard.press("Space")
    opened.page.wait_for_function("() => shown().root.dataset.shown !== '0'", timeout=10_000)
    opened.page.keyboard.press("Space")
    assert opened.page.locator(".shot:not([hidden]) .play").get_attribute("aria-pressed") == "false"


def test_zoom_shows_the_pictures_own_pixels(opened):
    stage = opened.page.locator(".shot:not([hidden]) .stage")
    for label, factor in (("1:1", 1), ("4×", 4)):
        opened.page.get_by_text(label, exact=True).first.click()
        assert stage.bounding_box()["width"] == pytest.approx(WIDTH * factor, abs=1)
    opened.page.get_by_text("Fit", exact=True).first.click()
    assert stage.bounding_box()["width"] > WIDTH


def test_each_shot_has_its_tab(opened):
    opened.page.get_by_role("tab", name="two").click()
    assert opened.page.locator("article.shot:visible").count() == 1
    opened.until(0)
    assert looks_like(opened.pixel(0.75), 4, "result")
    opened.page.keyboard.press("ArrowLeft")
    assert opened.page.get_by_role("tab", name="one").get_attribute("aria-selected") == "true"
    assert looks_like(opened.pixel(0.75), 1, "result")


def test_the_movie_plays(opened):
    movie = opened.page.locator(".shot:not([hidden]) video")
    duration = opened.page.wait_for_function(
        "() => { const v = document.querySelector('video'); return v.readyState >= 2 && v.duration; }", timeout=20_000
    ).json_value()
    assert duration == pytest.approx(FRAMES * 4 / 24, abs=0.1)
    assert movie.evaluate("v => v.videoWidth") == WIDTH


def test_everything_that_is_asked_of_the_page_is_there_and_reachable(opened):
    text = opened.page.locator("body").inner_text()
    for wanted in ("Proof", "2026-01-31", "Commit", "Generator losses", "Validation: PSNR, dB", "the file is empty"):
        assert wanted in text
    assert opened.page.locator(".panels figure").count() == 8  # two shots
    assert opened.page.locator(".figures .best.ours").count() >= 1
    unnamed = opened.page.evaluate(
        """() => [...document.querySelectorAll('input, button, canvas, [tabindex="0"]')].filter(e =>
            !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).length"""
    )
    assert unnamed == 0


def test_values_are_read_from_a_chart(opened):
    chart = opened.page.locator(".shot:not([hidden]) .chart").last
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    output = chart.locator("xpath=..").locator(".legend output").first
    before = output.inner_text()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert " at " in output.inner_text()
    opened.page.mouse.move(2, 2)
    assert output.inner_text() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820, 1600])
def test_no_width_overflows_and_both_schemes_are_legible(browser, page_file, scheme, width):
    page = Opened(browser, page_file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    # WCAG 2.1 asks for 4.5:1 for text.
    contrast = page.page.evaluate(CONTRAST)
    assert contrast
    assert min(ratio for _, ratio in contrast) >= 4.5, sorted(contrast, key=lambda c: c[1])[:5]
    assert page.said == []
    page.context.close()


CONTRAST = """() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => {
    const f = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] > 0.99) return c; } return [255, 255, 255, 1]; };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility({opacityProperty: true}) ||
        e.closest('svg, script, style, .pill, .none')) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    found.push([e.className + ': ' + texts.currentNode.data.trim().slice(0, 30),
      (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""
