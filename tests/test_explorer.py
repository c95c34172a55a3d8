"""``thalweg explore``: one page of the library's own numbers; in a real browser where there is one."""

import csv
import gzip
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import image

import thalweg as tw
from thalweg.core import clock as scalars
from thalweg.core import update as compose
from thalweg.core.step_options import StepOptions
from thalweg.engines.ops import applied
from thalweg.errors import FileError, HyperparameterError, ProblemError, RuleError, UnknownProblemError
from thalweg.lab.explorer import MOST_METHODS, MOST_STEPS, address, explore
from thalweg.lab.explorer.address import CURVES
from thalweg.lab.record import record
from thalweg.lab.theory.freeze import factor, frozen, limit_formula, spectral_radius
from thalweg.problems import landscape_catalogue
from thalweg.rules import shipped

from .laws.node import needs_node, node

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def page() -> str:
    return explore("rosenbrock", steps=120).html


def data_of(page: str) -> str:
    """The source of the page's data."""
    return page.partition("window.THALWEG = ")[2].partition(";\n</script>")[0]


# Without a browser.


def test_one_file_that_asks_nobody(page: str) -> None:
    """Under 120 kB as servers send it; no address in it, nothing that loads, nothing that evaluates text."""
    assert len(gzip.compress(page.encode())) < 120_000
    asked = page.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.findall(r"https?:|//[a-z0-9.-]+\.[a-z]{2,}/", asked)
    assert not re.findall(r"<(?:link|img|iframe|script)\b[^>]*\b(?:src|href)=(?![\"']?data:)", page)
    assert not re.findall(r"\beval\(|new Function|\bfetch\(|XMLHttpRequest|import\(", page)


def test_every_rule_and_dialect_can_be_chosen(page: str) -> None:
    data = data_of(page)
    for name, kind in shipped().items():
        own = data.partition(f'"{name}":{{"places"')[2].partition('"look"')[0]
        for dialect in ("", *kind.parts.dialects):
            assert f'"{dialect}": {{"clock"' in own, (name, dialect)


@needs_node
def test_the_pages_landscapes_are_the_librarys(page: str, tmp_path: Path) -> None:
    """Every landscape of two coordinates; where there are rows, each different one with its count."""
    chosen = {n: p for n, make in landscape_catalogue().items() if (p := make()).window is not None}
    source = f"const data = {data_of(page)}; const out = new Float64Array(2);"
    wanted = []
    for n, p in chosen.items():
        source += f"""{{
          const {{surface: s, starts}} = data.problems[{n!r}];
          let total = 0;
          const sum = [0, 0];
          for (const row of s.rows.length ? s.rows : [[1]]) {{
            s.gradient(starts[0], row, out);
            const count = row[row.length - 1];
            total += count;
            sum.forEach((_, k) => sum[k] += count * out[k]);
          }}
          keep(sum.map((v) => v / total));
        }}"""
        wanted.append(p.gradient(np.array(p.starts[0]), None))
    printed = node(tmp_path, source, [0.0]).reshape(-1, 2)
    np.testing.assert_allclose(printed, np.array(wanted), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("problem", "error", "said"),
    [
        ("rosenbrok", UnknownProblemError, "rosenbrock"),
        ("quadratic", ProblemError, "has 4 coordinates"),
        ("digits", UnknownProblemError, "digits"),
        ("x**2 + z", HyperparameterError, "z is neither x nor y"),
        ("2x", HyperparameterError, "is no formula of x and y"),
        ("x = 1", HyperparameterError, "is no formula"),
        ("x² 2", HyperparameterError, "is no formula"),
        ("xπ", HyperparameterError, "is no formula"),
        ("(lambda: x)()", HyperparameterError, "formula"),
        ("__import__('os').system('ls')", HyperparameterError, "formula"),
        ("x.y", HyperparameterError, "formula"),
        ("sin(x, y)", HyperparameterError, "sin takes 1, got 2"),
        ("snh(x)", HyperparameterError, "snh is no function.*sin"),
        ("x if y else 1", HyperparameterError, "formula"),
        ("x < 1", HyperparameterError, "comparison"),
        ("0x10*x", HyperparameterError, "0x10 is no number"),
        ("1j*x", HyperparameterError, "1j is no number"),
        ("x" + "+x" * 3000, HyperparameterError, "4000"),
        ("nobody.py:f", FileError, "no such file"),
        (3, HyperparameterError, "int"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else getattr(value, "__name__", "number"),
)
def test_what_cannot_be_explored_is_told(
    problem: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(error, match=said) as told:
        explore(problem, out=out)
    assert "\n" not in str(told.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, f"1 .. {MOST_STEPS}"),
        ({"steps": 1.5}, f"1 .. {MOST_STEPS}"),
        ({"start": (1, 2, 3)}, "two finite numbers"),
        ({"start": (1, float("nan"))}, "two finite numbers"),
        ({"window": ((1, 0), (0, 1))}, "x low, x high"),
        ({"window": (1, 2)}, "x low, x high"),
        ({"methods": ["Adam", *(f"SGD(lr={k})" for k in range(MOST_METHODS))]}, "12 at most"),
    ],
    ids=["steps-0", "steps-part", "start-3", "start-nan", "window-turned", "window-flat", "methods-13"],
)
def test_settings_are_checked(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(HyperparameterError, match=re.escape(said)):
        explore("rosenbrock", **settings)


def branching(x: float, y: float) -> float:
    return x if y > 0 else y


def test_a_function_of_two_names_must_be_a_formula() -> None:
    with pytest.raises(HyperparameterError, match=r"branching: of two arguments .* where\(c, a, b\).*f\(w\)"):
        explore(branching)


def greek(θ: float, y: float, /) -> float:
    return θ * y


def test_names_must_be_those_that_the_page_reads() -> None:
    with pytest.raises(HyperparameterError, match=r"greek: .*not θ"):
        explore(greek)


class Jumping(tw.Schedule):
    value: float

    def __call__(self, step: int) -> float:
        return self.value if step < 10 else 0.0


def test_a_schedule_that_cannot_be_printed_is_told() -> None:
    with pytest.raises(RuleError, match=r"Jumping.*where"):
        explore("booth", [tw.SGD(lr=Jumping(0.1))])


def test_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thalweg.cli", "explore", "x**2 + 10*y^2", "--methods", "SGD,Adam:keras", "--out", "e.html"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "Page: e.html"
    assert "10*y^2" in (tmp_path / "e.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not (WEB / "node_modules").is_dir(), reason="needs npm ci in web/")
def test_the_bundle_is_what_its_source_makes() -> None:
    """And the source's own tests and types."""
    for command in (["node", "build.mjs", "--check"], ["npx", "tsc", "--noEmit"], ["npx", "vitest", "run"]):
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_setting_is_an_address() -> None:
    """As the page writes it; rates that are left open are left out, what is pinned cannot be asked for."""
    told = address(
        "matyas", ["SGD", "Momentum(beta=0.5)", "Adam:keras(lr=0.1, eps=1e-5)", tw.Adam()],
        start=(8, -2), steps=90, focus=2, step=7, curve="state-v", beside="eps", window=((-9, 9), (-3, 3.5)),
    )  # fmt: skip
    assert told == (
        "p=matyas&x=8.0,-2.0&w=-9.0,9.0,-3.0,3.5&n=90&o=SGD;Momentum,lr=0.001,beta=0.5;Adam:keras,lr=0.1,eps=1e-05;"
        "Adam,lr=0.001&f=2&t=7&c=state-v&s=eps"
    )
    assert address("=x**2 + y**2", ["SGD"]) == "p==x**2+%2B+y**2&o=SGD"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"problem": "beal"}, UnknownProblemError, "did you mean 'beale'"),
        ({"problem": "digits"}, UnknownProblemError, "no landscape"),
        ({"problem": "=x+z"}, HyperparameterError, "z is neither"),
        ({"methods": ["Nobody"]}, HyperparameterError, "unknown method"),
        ({"methods": [tw.SGD(lr=tw.cosine(0.1, steps=9))]}, HyperparameterError, "follows a schedule"),
        ({"focus": 2}, HyperparameterError, "focus=2"),
        ({"step": 301, "steps": 300}, HyperparameterError, "step=301"),
        ({"steps": 5001}, HyperparameterError, "1 .. 5000"),
        ({"curve": "state-q"}, HyperparameterError, "state-m"),
        ({"beside": "rho"}, HyperparameterError, "beta1"),
        ({"start": (1,)}, HyperparameterError, "two finite numbers"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_setting_that_cannot_be_is_told(
    settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    given = {"problem": "beale", "methods": ["Adam"], **settings}
    with pytest.raises(error, match=re.escape(said)):
        address(**given)


# In a browser.

sync_api = pytest.importorskip("playwright.sync_api") if BROWSER else None
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs chromium, chromium-browser or google-chrome"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


class Opened:
    """A page that was opened, with every address that it asked for and every error that it threw."""

    def __init__(self, browser: Any, file: Path, hash: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.address = file.as_uri()
        self.page.goto(self.address + hash)
        self.rest()

    def rest(self) -> None:
        """Wait until all is drawn and the address follows."""
        # A timer of the page's own comes after those that it has set, however slow the machine; then a frame, then leisure.
        self.run(
            "new Promise(r => setTimeout(() => requestAnimationFrame(() => requestIdleCallback(r)), 350))"
        )

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def close(self) -> None:
        self.context.close()
        assert self.errors == []
        assert self.requests == [self.requests[0]]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    pages = []

    def make(
        *arguments: Any, hash: str = "", context: dict[str, Any] | None = None, **settings: Any
    ) -> Opened:
        file = tmp_path / f"page{len(pages)}.html"
        explore(*arguments, out=file, **settings)
        pages.append(Opened(browser, file, hash, **(context or {})))
        return pages[-1]

    yield make
    for p in pages:
        p.close()


def paths(text: str) -> dict[str, np.ndarray]:
    """The page's CSV as one array of steps, x, y, f for each method."""
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return {
        n: np.array([[float(v) for v in row[1:]] for row in rows if row[0] == n])
        for n in {r[0] for r in rows}
    }


def executed(program: str, tmp_path: Path) -> dict[str, np.ndarray]:
    """What an exported program prints: steps, x, y for each method."""
    file = tmp_path / "exported.py"
    file.write_text(program)
    done = subprocess.run([sys.executable, "-W", "error", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {
        n: np.array([[float(v) for v in row[1:]] for row in rows if row[0] == n])
        for n in {r[0] for r in rows}
    }


LIBM_FREE = ["SGD(lr=0.001)", "Momentum(lr=0.001)", "Nesterov(lr=0.0005)", "Adagrad(lr=0.5)", "RMSprop:keras(lr=0.02)",
             "Adadelta:zeiler", "MaxProp(lr=0.05)", "SGD(lr=9.0)"]  # fmt: skip
TYPED = "(1 - x)^2 + 3*(y - x*x)**2 / (1 + abs(x)) + max(x, y*sqrt(1 + x*x))"


def made_in_python(x, y, /):
    """A formula that keeps to the grammar."""
    return (x - 1) * (x - 1) + 4 * y * y + x * y


@pytest.mark.parametrize("problem", ["rosenbrock", "himmelblau", TYPED, made_in_python], ids=["rosenbrock", "himmelblau", "typed", "python"])  # fmt: skip
class TestExport:
    pytestmark = in_browser

    def test_exported_python_prints_the_pages_path(
        self, problem: Any, opened: Callable[..., Opened], tmp_path: Path
    ) -> None:
        """Bit for bit: no libm here. The last method diverges; the page ends where f overflows, before w does."""
        page = opened(problem, LIBM_FREE, steps=150, start=(-1.2, 1.1), window=((-3, 3), (-3, 3)))
        shown, printed = paths(page.run("explorer.csv()")), executed(page.run("explorer.python()"), tmp_path)
        assert shown.keys() == printed.keys()
        assert len(shown) == len(LIBM_FREE)
        for name, path in shown.items():
            np.testing.assert_array_equal(path[:, :3], printed[name][: len(path)])
            assert len(printed[name]) == len(path) or (len(path) < 151 and path[-1, 3] > 1e30)
        assert min(map(len, shown.values())) < 151 == max(map(len, shown.values()))


def test_with_libm_each_step_is_the_librarys(opened: Callable[..., Opened], tmp_path: Path) -> None:
    """Adam's clock has powers: its path stays within what an ulp a step can do, on a function with sines."""
    page = opened("x**2 + 3*y**2 + sin(3*x)", ["Adam(lr=0.05)", "RAdam(lr=0.05)", "AdamW:keras"], steps=40)
    shown, printed = paths(page.run("explorer.csv()")), executed(page.run("explorer.python()"), tmp_path)
    for name, path in shown.items():
        np.testing.assert_allclose(path[:, :3], printed[name], rtol=1e-9, atol=1e-12)


def test_with_libm_each_step_from_the_pages_state_is_pythons(opened: Callable[..., Opened]) -> None:
    """The step is bit for bit the formula's, given the page's state, gradient and scalars that differ by ulps alone."""
    rule = tw.Adam(lr=0.05)
    page = opened("x**2 + 3*y**2 + sin(3*x)", [rule], steps=60)
    places = page.run("explorer.told.places")
    told = {n: np.reshape(page.run(f"[...explorer.told.values[{k}]]"), (-1, 2)) for k, n in enumerate(places)}
    step = applied(compose.update(rule, StepOptions(rates=True)))
    clock, names = scalars.clock(rule), scalars.names(rule)
    for t in range(1, 61):
        before = {n: told[n][t if n == "g" else t - 1] for n in ("w", "g", "m", "v")}
        after = step(before, dict(zip(names, clock(t), strict=True)))
        for n in ("w", "m", "v", "_rate"):
            np.testing.assert_allclose(told[n][t], after[n], rtol=1e-13)


def test_svg_is_a_picture_of_its_own(opened: Callable[..., Opened]) -> None:
    page = opened("rosenbrock", ["SGD(lr=0.1)", "Adam(lr=0.1)"], steps=50)
    tree = ElementTree.fromstring(page.run("explorer.svg()"))
    titles = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert set(titles) == {"Rosenbrock's function", "SGD", "Adam"}
    assert "NaN" not in page.run("explorer.svg()")


def test_schedules_and_rules_of_a_users_own(opened: Callable[..., Opened], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from thalweg import Rule, Scalar, nonnegative, rule\n\n\n"
        "def step(w, g, /, lr, pull):\n    return w - lr * g - pull * w\n\n\n"
        "@rule(step)\nclass Mine(Rule):\n"
        '    lr: Scalar = nonnegative(default=0.01, unit="w/g")\n'
        '    pull: Scalar = nonnegative(default=0.0, unit="1")\n'
    )
    page = opened(
        "booth", [tw.SGD(lr=tw.inverse_time(0.05, decay=0.1)), f"{file}:Mine(pull=0.001)"], steps=50
    )
    shown, printed = paths(page.run("explorer.csv()")), executed(page.run("explorer.python()"), tmp_path)
    assert len(shown) == 2
    for name, path in shown.items():
        np.testing.assert_array_equal(path[:, :3], printed[name])


def test_any_function_is_sampled_and_said_to_be(opened: Callable[..., Opened]) -> None:
    def valley(w: np.ndarray) -> float:
        return float(w[0] ** 2 + 5 * np.hypot(w[1], 0.1))

    page = opened(valley, ["SGD(lr=0.05)"], steps=60, start=(2.0, 1.0))
    assert "sampled" in page.page.text_content(".about")
    assert "interpolates" in page.run("explorer.python()")
    path = paths(page.run("explorer.csv()"))["SGD"]
    w = np.array([2.0, 1.0])
    for k in range(20):
        w -= 0.05 * np.array([2 * w[0], 5 * w[1] / np.hypot(w[1], 0.1)])
        assert abs(path[k + 1, 1] - w[0]) < 0.02
    assert abs(path[-1, 2]) < 0.3


def test_the_address_restores_the_picture(opened: Callable[..., Opened], browser: Any) -> None:
    first = opened("rosenbrock", steps=200)
    first.page.select_option(".controls select", "himmelblau")
    first.page.locator(".methods input[type=number]").nth(6).fill("0.3")
    first.page.locator(".square").click(position={"x": 200, "y": 333})
    first.page.keyboard.press("7")
    for _ in range(5):
        first.page.keyboard.press("]")
    first.rest()
    other = Opened(browser, Path(first.address.removeprefix("file://")), first.run("location.hash"))
    assert other.run("explorer.csv()") == first.run("explorer.csv()")
    assert other.run("location.hash") == first.run("location.hash")
    assert other.page.text_content(".said") == first.page.text_content(".said")
    for one in (first, other):
        one.run("document.activeElement.blur()")
    one, two = (image.imread(io.BytesIO(x.page.locator(".square").screenshot())) for x in (first, other))
    assert one.shape == two.shape and np.abs(one - two).max() < 2 / 255  # but for corners
    other.run("location.hash = '#p=nowhere&o=Adam,lr=-1'")
    other.rest()
    assert "Adam: lr=-1" in other.page.text_content(".notice")
    other.close()


def test_a_setting_from_python_is_the_pages(opened: Callable[..., Opened]) -> None:
    """What ``address`` writes the page reads, and writes again as its own."""
    told = address(
        "matyas", ["SGD(lr=0.5)", "Adam:keras(lr=0.1, m=0.25)"], start=(8, -2), steps=90, focus=1, step=7, curve="state-v"
    )  # fmt: skip
    page = opened("rosenbrock", steps=50, hash=f"#{told}")
    assert not page.page.locator(".notice").is_visible()
    state = page.run("explorer.state")
    assert (state["problem"], state["start"], state["steps"]) == ("matyas", [8, -2], 90)
    assert (state["focus"], state["step"], state["curve"]) == (1, 7, "state-v")
    rule = tw.Adam.like("keras", lr=0.1, m=0.25)
    assert state["methods"][1]["values"] == list(rule.values.values())
    own = "#v=1&" + told.replace("8.0,-2.0", "8,-2") + "&s=eps"
    page.page.wait_for_function(f"location.hash === {own!r}")


def test_divergence_is_a_cross_and_a_sentence(opened: Callable[..., Opened]) -> None:
    page = opened("rosenbrock", ["SGD(lr=0.1)", "Adam(lr=0.1)"], steps=100)
    page.page.locator(".name").first.click()
    page.rest()
    said = page.page.text_content(".said")
    assert re.search(r"SGD\(lr=0\.1\)|SGD diverged: after step \d+", said)
    assert "the limit is 2" in said
    assert page.page.locator(".died").first.text_content().startswith("✕ diverged at")
    text = page.page.text_content("main")
    assert "NaN" not in text and "undefined" not in text
    other = opened("rosenbrock", ["SGD(lr=1e300)"], steps=100)
    assert "first step already overflowed" in other.page.text_content(".said")


def test_a_function_is_typed_as_books_write_it(opened: Callable[..., Opened], tmp_path: Path) -> None:
    """The command and the page read the same signs, and what is exported is a program that knows none of them."""
    page = opened("x² + 3·y² − 1÷(2 + x²)", ["Momentum(lr=0.01)"], steps=60)
    plain = opened("x^2 + 3*y^2 - 1/(2 + x^2)", ["Momentum(lr=0.01)"], steps=60)
    assert page.run("explorer.csv()") == plain.run("explorer.csv()")
    shown, printed = paths(page.run("explorer.csv()")), executed(page.run("explorer.python()"), tmp_path)
    for name, path in shown.items():
        np.testing.assert_array_equal(path[:, :3], printed[name])


def test_a_start_without_a_gradient_is_no_rate_too_large(opened: Callable[..., Opened]) -> None:
    page = opened("x**y", ["Adam"], steps=20, start=(-4.0, 3.0))
    assert page.page.text_content(".said") == "f has no finite gradient at the start: choose another."


def test_a_typed_function_that_is_none_leaves_the_picture(opened: Callable[..., Opened]) -> None:
    page = opened("booth", ["SGD(lr=0.01)"], steps=50)
    before = page.run("explorer.csv()")
    formula = page.page.locator(".typed input")
    formula.fill("x**2 + z")
    formula.press("Enter")
    page.rest()
    assert "character 8: z is not known" in page.page.text_content(".notice")
    assert page.run("explorer.csv()") == before
    formula.fill("x**2 + y**2")
    formula.press("Enter")
    page.rest()
    assert not page.page.locator(".notice").is_visible()
    assert page.run("explorer.state.problem") == "=x**2 + y**2"
    assert page.run("explorer.csv()") != before
    page.run("location.hash = '#p==x%2Bz'")
    page.rest()
    assert "z is not known" in page.page.text_content(".notice")
    assert page.run("explorer.state.problem") == "=x**2 + y**2"
    other = opened("booth", ["SGD(lr=0.01)"], steps=50, hash="#p==x%2Bz")
    assert "z is not known" in other.page.text_content(".notice")
    assert other.run("explorer.csv()") == before


def test_every_control_works_by_keyboard(opened: Callable[..., Opened]) -> None:
    page = opened("rosenbrock", ["Adam(lr=0.1)", "SGD(lr=0.001)"], steps=100)
    controls = page.run("[...document.querySelectorAll('button, input, select, summary, [tabindex]')].filter(e => e.checkVisibility() && !e.disabled).length")  # fmt: skip
    seen = set()
    for _ in range(controls + 5):
        page.page.keyboard.press("Tab")
        seen.add(page.run("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        page.run("document.activeElement.dataset.reached = '1'")
    missed = page.run("[...document.querySelectorAll('button, input, select, summary, [tabindex]')].filter(e => e.checkVisibility() && !e.disabled && !e.dataset.reached).map(e => e.outerHTML.slice(0, 80))")  # fmt: skip
    assert missed == []
    page.page.focus(".handle")
    start = page.run("explorer.state.start")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Shift+ArrowUp")
    page.rest()
    x, y = page.run("explorer.state.start")
    assert x - start[0] == pytest.approx(0.04) and y - start[1] == pytest.approx(0.4)
    assert page.page.get_attribute(".handle", "aria-valuetext") == "x −1.16, y 1.4"
    page.page.keyboard.press("Home")
    page.page.keyboard.press("2")
    page.rest()
    assert page.run("explorer.state.start") == start
    assert page.run("explorer.state.focus") == 1
    assert page.page.text_content(".focused h2") == "SGD"


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (390, "dark"), (390, "light"), (1280, "dark")]
)
def test_for_everyone(width: int, scheme: str, opened: Callable[..., Opened]) -> None:
    """Nothing wider than the screen, 44 px to touch, no serious finding of axe-core's."""
    context = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "has_touch": width < 500}
    page = opened("rosenbrock", steps=100, context=context)
    page.run("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.rest()
    assert page.run("document.documentElement.scrollWidth") <= width
    assert too_small(page) == []
    axe = WEB / "node_modules" / "axe-core" / "axe.min.js"
    if axe.exists():  # where npm ci has run in web/
        page.page.add_script_tag(content=axe.read_text())
        page.requests[1:] = []
        assert serious(page) == []
    page.page.keyboard.press("?")
    assert too_small(page) == []
    assert page.run("document.querySelector('.help').getBoundingClientRect().right") <= width
    if not axe.exists():
        pytest.skip("axe-core is looked at where npm ci has run in web/")
    assert serious(page) == []


def test_the_map_is_in_sight_within_a_page_of_the_documentation(opened: Callable[..., Opened]) -> None:
    """Its frames are 734 points wide and 860 high: controls that take half of that hide what they move, and its sentence."""
    page = opened("quadratic-2d", steps=100, context={"viewport": {"width": 734, "height": 860}})
    page.run("document.body.classList.add('embedded')")
    said = page.run("document.querySelector('.said').getBoundingClientRect().top")
    assert page.run("document.querySelector('.square').getBoundingClientRect().top") < 250 and said < 760


def too_small(page: Opened) -> list[Any]:
    """What can be touched and is smaller than 44 px."""
    return page.run(
        "[...document.querySelectorAll('button, input, select, summary, .handle')].filter((e) => e.checkVisibility()).map((e) => {"
        " const target = e.type === 'checkbox' ? e.closest('label') : e; const b = target.getBoundingClientRect();"
        " return [e.outerHTML.slice(0, 60), b.width, b.height]; }).filter(([, w, h]) => h < 43.9 || w < 43.9)"
    )


def serious(page: Opened) -> list[Any]:
    """What axe-core, which must be on the page, finds serious."""
    findings = page.run("axe.run().then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html.slice(0, 120))]))")  # fmt: skip
    return [f for f in findings if f[0] in ("serious", "critical")]


def test_keys_are_told(opened: Callable[..., Opened]) -> None:
    """``?`` tells them; while it does, they do nothing else, and afterwards the focus is where it was."""
    page = opened("rosenbrock", ["Adam(lr=0.1)", "SGD(lr=0.001)"], steps=100)
    page.page.focus(".handle")
    before = page.run("explorer.state.step")
    page.page.keyboard.press("?")
    dialog = page.page.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    keys = set(dialog.locator("kbd").all_text_contents())
    assert keys >= {"[", "]", "1", "9", "P", "R", "?", "Home", "Shift", "←"}
    page.page.keyboard.press("]")
    page.page.keyboard.press("2")
    page.rest()
    assert (page.run("explorer.state.step"), page.run("explorer.state.focus")) == (before, 0)
    page.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.run("document.activeElement.className") == "handle"
    page.page.keyboard.press("]")
    page.rest()
    assert page.run("explorer.state.step") == before + 1
    page.page.get_by_role("button", name="Keys").click()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_where_methods_ended_is_a_table(opened: Callable[..., Opened]) -> None:
    """Of every method, under the names of the coordinates; what diverged says so; it follows the start and the list."""
    page = opened("himmelblau", ["Adam(lr=0.1)", "SGD(lr=0.01)", "SGD(lr=9.0)"], steps=100)
    page.page.click("text=Where each method ended")

    def cells() -> list[list[str]]:
        return page.run("[...document.querySelectorAll('.ends tr')].map((r) => [...r.cells].map((c) => c.textContent))")  # fmt: skip

    for start in ([1, 1], [-3, 2.5]):
        page.run(f"explorer.change({{start: {start}}})")
        page.rest()
        head, *rows = cells()
        assert head == ["method", "last step", "x", "y", "f", "to the nearest minimum"]
        ends = page.run("explorer.runs.map((r) => [r.path[2 * r.end], r.path[2 * r.end + 1], r.loss[r.end]])")
        minima = np.array(page.run("explorer.problem.minima"))
        assert len(rows) == 3 and rows[2][1].endswith("then it diverged") and rows[0][1] == "100"
        for row, (x, y, f) in zip(rows[:2], ends, strict=False):
            far = float(np.hypot(*(minima - [x, y]).T).min())
            np.testing.assert_allclose([float(c.replace("−", "-")) for c in row[2:]], [x, y, f, far], rtol=2e-3)  # fmt: skip
    page.page.locator(".remove").nth(2).click()
    page.rest()
    assert len(cells()) == 3
    page.page.fill("[placeholder^='x**2']", "x**2 + y**2")
    page.page.keyboard.press("Enter")
    page.rest()
    assert cells()[1][5] == "none is known"


def test_words_are_of_the_last_picture(opened: Callable[..., Opened]) -> None:
    """However fast things move: what is written lags behind while they do, and is right when they rest, in sight or not."""
    page = opened("rosenbrock", ["Adam(lr=0.1)", "SGD(lr=0.001)"], steps=100)
    followed = page.run("""new Promise((done) => {
      const seen = [];
      let k = 0;
      const next = () => {
        seen.push(document.querySelector('.said').textContent);
        explorer.change({start: [-1 + k / 50, 1.5], step: 30});
        if (++k < 20) requestAnimationFrame(next);
        else done(new Set(seen).size > 1);
      };
      next();
    })""")
    assert followed
    page.rest()
    x = page.run("explorer.state.start[0]")
    assert x == pytest.approx(-0.62)
    assert page.run("[...document.querySelectorAll('.controls input[type=number]')].map((i) => i.value)")[0] == f"{x}"  # fmt: skip
    moved = page.run("explorer.runs[0].path[60] - explorer.runs[0].path[58]")
    assert f"moves x by {moved:.3g} ".replace("-", "−") in page.page.text_content(".said")
    end = page.run("explorer.runs[0].loss[100]")
    assert page.page.text_content(".methods .end") == "f " + page.run(f"({end}).toPrecision(4) / 1 + ''")
    where = page.page.locator(".focused tbody tr").first.locator("td").first.text_content()
    assert float(where.replace("−", "-")) == pytest.approx(page.run("explorer.runs[0].path[60]"), rel=1e-3)


def test_every_question_is_understood(opened: Callable[..., Opened]) -> None:
    page = opened("rosenbrock", steps=100)
    addresses = page.run("[...document.querySelectorAll('.questions a')].map((a) => a.getAttribute('href'))")
    assert len(addresses) > 5
    for there in addresses:
        page.run(f"location.hash = {there!r}")
        page.rest()
        assert not page.page.locator(".notice").is_visible(), there
        assert page.run("explorer.state.problem") == re.search(r"p=([^&]*)", there)[1]
        assert page.run("explorer.runs.length") == there.partition("o=")[2].partition("&")[0].count(";") + 1


def test_what_is_shown_by_step(opened: Callable[..., Opened]) -> None:
    """Every curve can be chosen and is in the address; the share of epsilon and the margin are the record's."""
    page = opened("rosenbrock", ["Adam(lr=0.1, eps=0.5)", "Adam:keras(lr=0.1)"], steps=60)
    curves = page.run("[...document.querySelector('.focused figure select').options].map((o) => o.value)")
    assert curves == [*CURVES, "state-m", "state-v"]
    for curve in curves:
        page.page.select_option(".focused select", curve)
        page.rest()
        assert f"c={curve}" in page.run("location.hash")
    kept = record(tw.Adam(lr=0.1, eps=0.5), "rosenbrock", 60, start=(-1.2, 1.0))
    told = page.run("[...explorer.told.share]")
    np.testing.assert_allclose(np.reshape(told, (-1, 2))[1:], kept.eps_share[1:], rtol=1e-9)
    rates = page.run("[...explorer.told.values[explorer.told.places.indexOf('_rate')]]")
    np.testing.assert_allclose(np.reshape(rates, (-1, 2))[1:], kept.rate[1:], rtol=1e-9)
    said = page.page.text_content(".said")
    assert re.search(r"Adam:keras leaves its path at step 1, by .*; at step 60 they are .* apart", said)


def test_theory_is_the_librarys(opened: Callable[..., Opened]) -> None:
    """The limit of every form with its own values, and what a step is predicted to leave, which moves with beta."""
    page = opened("booth", ["Momentum(lr=0.02, beta=0.7)", "Adam(lr=0.3)"], steps=30)
    for name, kind in shipped().items():
        for form in ("", *(d for d in kind.parts.dialects if type(kind.like(d)) is kind)):
            known = limit_formula(kind.like(form) if form else kind())
            if known is not None and np.isfinite(known.value):
                page.run(f"location.hash = '#p=booth&n=3&o={name}{form and ':'}{form},lr=0.001'")
                page.page.wait_for_timeout(60)
                assert page.run("explorer.limit") == pytest.approx(known.value, rel=1e-4), (name, form)
    page.run("location.hash = '#p=booth&n=30&o=Momentum,lr=0.02,beta=0.7;Adam,lr=0.3&t=30'")
    page.rest()
    assert page.run("explorer.limit") == pytest.approx(3.4, rel=1e-6)
    shown = float(page.page.locator(".focused tbody tr").last.locator("td").text_content())
    assert shown == pytest.approx(factor(tw.Momentum(lr=0.02, beta=0.7), [2, 18]), rel=2e-3)
    page.page.keyboard.press("2")
    page.rest()
    shown = float(page.page.locator(".focused tbody tr").last.locator("td").text_content())
    rates = page.run("[...explorer.told.values[explorer.told.places.indexOf('_rate')]].slice(60)")
    one, two = (frozen(tw.Adam(lr=0.3), rate, 30) for rate in rates)
    hessian = page.run(
        "(() => { const h = new Float64Array(3); explorer.surface.hessian(0, 0, h); return [...h]; })()"
    )
    whole = np.block([[one.a, np.zeros((2, 2))], [np.zeros((2, 2)), two.a]])
    whole[:, 0] += np.concatenate([hessian[0] * one.b, hessian[1] * two.b])
    whole[:, 2] += np.concatenate([hessian[1] * one.b, hessian[2] * two.b])
    assert shown == pytest.approx(float(spectral_radius(whole)), rel=2e-3)


def test_a_step_is_the_sum_of_its_parts(opened: Callable[..., Opened]) -> None:
    """The gradient's, memory's and scaling's; a method without memory, or with one rate, has none of that part."""
    page = opened(
        "matyas", ["Adam(lr=0.3)", "RMSprop(lr=0.1)", "Momentum(lr=0.1)"], steps=30, hash="#t=9&c=split"
    )

    def rows() -> dict[str, list[float]]:
        found = page.run("[...document.querySelectorAll('.focused tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))")  # fmt: skip
        return {
            n: [float(v.replace("−", "-")) for v in c] for n, *c in found if n.startswith(("step", "of it"))
        }

    for k, absent in enumerate((None, "memory", "scaling")):
        page.page.keyboard.press(str(k + 1))
        page.rest()
        step, *parts = rows().values()
        np.testing.assert_allclose(np.sum(parts, axis=0), step, rtol=2e-3)
        for name in ("gradient", "memory", "scaling"):
            assert (np.abs(rows()[f"of it by {name}"]).max() < 1e-12) == (name == absent)


def test_pins_and_small_maps(opened: Callable[..., Opened], browser: Any) -> None:
    """Pinned paths stay while the start moves, and are in the address; a map a method puts it in focus, by keyboard too."""
    page = opened("booth", ["SGD(lr=0.05)", "Adam(lr=0.5)"], steps=60)
    before = page.run("explorer.runs.map((r) => [...r.path.slice(0, 122)])")
    page.page.keyboard.press("p")
    page.run("explorer.change({start: [3, 4]})")
    page.rest()
    assert page.run("explorer.ghosts.map((r) => [...r.path.slice(0, 122)])") == before
    assert page.run("explorer.runs.map((r) => [...r.path.slice(0, 122)])") != before
    assert page.page.get_by_role("button", name="Pin").get_attribute("aria-pressed") == "true"
    other = Opened(browser, Path(page.address.removeprefix("file://")), page.run("location.hash"))
    assert other.run("explorer.ghosts.map((r) => [...r.path.slice(0, 122)])") == before
    other.close()
    page.page.locator(".mini").nth(0).focus()
    page.page.keyboard.press("Enter")
    page.rest()
    assert page.run("explorer.state.focus") == 0
    inked = "(() => { const c = document.querySelectorAll('.minis canvas')[1]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n; })()"  # fmt: skip
    page.page.locator(".minis").scroll_into_view_if_needed()
    page.rest()
    assert page.run(inked) > 400
    page.page.select_option(".controls select", "beale")
    page.rest()
    assert page.run("explorer.state.pin") is None and page.run("explorer.ghosts") == []


def test_within_another_page(opened: Callable[..., Opened], browser: Any, tmp_path: Path) -> None:
    """As in a notebook: questions are answered in place, nothing leaves for the other page's address."""
    file = tmp_path / "outer.html"
    file.write_text(f"<!doctype html><title>outer</title>{explore('booth', ['SGD'], steps=30)._repr_html_()}")
    outer = Opened(browser, file)
    inside = outer.page.frames[1]
    before = inside.url
    inside.evaluate("document.querySelector('.questions').open = true")
    inside.locator(".questions a").first.click()
    outer.rest()
    assert inside.evaluate("explorer.state.problem") == "ill-conditioned" and inside.url == before
    assert not inside.get_by_role("button", name="Copy link").is_visible()
    outer.requests[1:] = []
    outer.close()


def test_sensitivity(opened: Callable[..., Opened]) -> None:
    """The strip's cells are the library's runs; the star can be taken, and any place by a pointer."""
    page = opened("booth", ["Momentum(lr=0.01)", "SGD(lr=0.01)"], steps=200)
    page.page.wait_for_function("explorer.strip.done === 640")
    steps = np.reshape(
        page.run("[...explorer.strip.steps].map((v) => Number.isNaN(v) ? -1 : v < Infinity ? v : 1e9)"),
        (16, 40),
    )
    assert (steps == -1).any() and (steps == 1e9).any()
    told = page.page.get_attribute(".heat", "aria-label")
    assert f"; the soonest, {steps[steps > 0].min():.0f} steps, at rate " in told
    page.page.click("text=Take the soonest")
    page.rest()
    lr, beta = page.run("explorer.state.methods[0].values.slice(0, 2)")
    walk = tw.show("booth", [tw.Momentum(lr=lr, beta=beta)], steps=200).walks[0]
    assert walk.reached == steps[steps > 0].min()
    page.page.locator(".heat").click(position={"x": 200, "y": 60})
    page.rest()
    moved = page.run("explorer.state.methods[0].values.slice(0, 2)")
    assert moved != [lr, beta] and 0 <= moved[1] < 1
    page.page.keyboard.press("2")  # SGD has nothing beside its rate
    page.rest()
    assert not page.page.locator(".heat").is_visible()


def test_every_landscape_opens(opened: Callable[..., Opened]) -> None:
    """From the first frame on: finite heights, rates chosen, somebody comes down."""
    page = opened("rosenbrock", steps=100)
    for name in page.run("Object.keys(THALWEG.problems)"):
        page.page.select_option(".controls select", name)
        page.page.wait_for_timeout(120)
        runs = page.run("explorer.runs.map((r) => [r.loss[0], r.loss[r.end], r.died])")
        assert any(last < first and not died for first, last, died in runs), name


for _test in (
    test_with_libm_each_step_is_the_librarys,
    test_with_libm_each_step_from_the_pages_state_is_pythons,
    test_svg_is_a_picture_of_its_own,
    test_schedules_and_rules_of_a_users_own,
    test_any_function_is_sampled_and_said_to_be,
    test_the_address_restores_the_picture,
    test_a_setting_from_python_is_the_pages,
    test_divergence_is_a_cross_and_a_sentence,
    test_a_typed_function_that_is_none_leaves_the_picture,
    test_every_control_works_by_keyboard,
    test_for_everyone,
    test_keys_are_told,
    test_where_methods_ended_is_a_table,
    test_words_are_of_the_last_picture,
    test_every_landscape_opens,
    test_every_question_is_understood,
    test_sensitivity,
    test_theory_is_the_librarys,
    test_a_step_is_the_sum_of_its_parts,
    test_pins_and_small_maps,
    test_within_another_page,
    test_what_is_shown_by_step,
):
    _test.pytestmark = [*getattr(_test, "pytestmark", []), *(m.mark for m in in_browser)]
