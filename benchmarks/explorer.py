"""The explorer's page in headless Chromium: from a pointer's move to the painted frame, and what of that is ours.

python -m benchmarks.explorer [--rounds 300]

Eight methods, 500 steps each; bars: a median of 16 ms and 33 ms for 95 of 100 frames, 8 ms of our own. The time is that
of the page's thread, from the event to the end of the frame that it is handled in: script, layout, painting, and the
canvases' pixels, which that thread draws where there is no GPU. Words are written in every fifth frame or so: the median
is mostly of frames without, the 95 of 100 of frames with them. Says so and does nothing where Playwright or a Chromium is missing.
"""

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import thalweg as tw

from .options import options

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WATCH = """() => {
  window.painted = [];
  document.querySelector('.square').addEventListener('pointermove', () => {
    const begin = performance.now();
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => painted.push(performance.now() - begin);
      after.port2.postMessage(0);
    });
  });
  explorer.timings.length = 0;
}"""


def told(name: str, times: Sequence[float]) -> str:
    """A median and what 95 of 100 stay below, in ms."""
    return (
        f"{name:<28}{statistics.median(times):6.1f} ms, 95 %: {sorted(times)[int(0.95 * len(times))]:.1f} ms"
    )


def main() -> None:
    chosen = options(__doc__, rounds=300).parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        browser = None
    if browser is None:
        print(f"needs playwright and one of {', '.join(BROWSERS)}")
        return
    moves = 5 if chosen.dry_run else min(chosen.rounds, 500)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "explore.html"
        tw.explore("rosenbrock", steps=500, out=file)
        shown = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--disable-gpu"]
        ).new_page(viewport={"width": 1280, "height": 900})
        shown.goto(file.as_uri())
        shown.wait_for_function("explorer.strip?.done === 640")
        shown.evaluate(WATCH)
        box = shown.locator(".square").bounding_box()
        assert box is not None
        shown.mouse.move(box["x"] + 60, box["y"] + 200)
        shown.mouse.down()
        for k in range(moves):
            shown.mouse.move(box["x"] + 60 + k, box["y"] + 200 + 3 * (k % 40))
            shown.wait_for_timeout(4)
        shown.mouse.up()
        print(told("move to painted frame", shown.evaluate("painted")))
        print(told("ours of it", shown.evaluate("explorer.timings")))


if __name__ == "__main__":
    main()
