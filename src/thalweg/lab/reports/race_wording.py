"""What a race found in sentences, one to each question, every one computed from what was run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..formatting import listing, number, steps
from ..race_result import Answer, Basins, Contained, Outlook, RaceResult, VerdictRow

Mark = Callable[[str], str]  # how a method's name is written


def sentences(race: RaceResult, mark: Mark = str) -> list[str]:
    """The answers in words, the lowest loss first, and what else must be known; [] where nothing was rerun."""
    return [" ".join(part for part in answer if part) for answer in told(race, mark)] + remarks(race, mark)


def told(race: RaceResult, mark: Mark = str) -> list[tuple[str, str]]:
    """Each answer as what comes first (who, what they beat, by how much) and what is said beside it, perhaps ""."""
    return [_answer(race, answer, mark) for answer in race["answers"]]


def remarks(race: RaceResult, mark: Mark = str) -> list[str]:
    """What must be known beside the answers, computed from what was run."""
    tested = [a for a in race["answers"] if a["least_seeds"] is not None]
    said = [race["caveat"]] if race["caveat"] else []
    if tested and not tested[0]["tested"]:
        seeds, least = race["settings"]["seeds"], tested[0]["least_seeds"]
        methods = len(tested[0]["values"])
        said.append(
            f"{_count(seeds, 'paired run')} cannot tell {methods} methods apart: a verdict takes {least} (--seeds {least})."
        )
    said += [_foreseen(o, mark) for a in tested if (o := a["outlook"])]
    if basins := race["basins"]:
        said.append(_basins(basins, mark))
    if under := [c for c in race["audit"] if c["verdict"] == "worse"]:
        said.append(_under_tuned(under, mark))
    if race["settings"]["seeds_are"] == "starts" and race["answers"]:
        said.append("Nothing here is random but where runs begin: seeds are starts.")
    return said


def _under_tuned(pairs: list[Contained], mark: Mark) -> str:
    """Methods that are told to be worse than what they contain, which no tuning of all their lines would be."""
    inner: dict[str, list[str]] = {}
    for c in pairs:
        inner.setdefault(c["outer"], []).append(mark(c["inner"]))
    alike: dict[str, list[str]] = {}
    for outer, names in inner.items():
        alike.setdefault(listing(names), []).append(mark(outer))
    told = (
        f"{listing(outers)}, which {'contains' if len(outers) == 1 else 'contain'} {names}"
        for names, outers in alike.items()
    )
    return f"Under-tuned and not worse: {'; '.join(told)}."


def _foreseen(o: Outlook, mark: Mark) -> str:
    """What more seeds would show."""
    apart, near = o["apart"], o["together"]
    first = f"With four times the seeds (--seeds {o['seeds']}) and the same spread, {mark(o['method'])} would"
    if not apart:
        return f"{first} still not be told from {_names(near, mark)}."
    tail = f", and still not from {_names(near, mark)}" if near else ""
    return f"{first} be told from {_names(apart, mark)}{tail}."


def _basins(basins: Basins, mark: Mark) -> str:
    """In which local minima runs ended."""
    heights, counts = basins["losses"], basins["counts"]
    points = ["(" + ", ".join(number(x) for x in at) + ")" for at in basins["minima"]]
    if max(heights) - min(heights) <= 1e-6 * max(1.0, abs(min(heights))):
        return f"Runs end in {len(points)} minima of equal height: {listing(points[:4])}."
    shown = [
        f"{number(h)} at {at}" if len(at) < 40 else number(h) for h, at in zip(heights, points, strict=True)
    ]
    most = f", from {shown[0]} to {shown[-1]}" if len(shown) > 3 else f": {listing(shown)}"
    runs = [f"{c[0]} of {basins['runs']} of {mark(n)}" for n, c in counts.items()]
    return f"Runs end in {len(points)} local minima{most}. In the lowest end {listing(runs)}."


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _names(names: Iterable[str], mark: Mark) -> str:
    return listing(map(mark, names))


def _answer(race: RaceResult, answer: Answer, mark: Mark) -> tuple[str, str]:
    head, leaders = _head(race, answer), answer["leaders"]
    if not leaders:
        return f"{head}: no method reached it." if answer["question"] == "fastest" else f"{head}: none.", ""
    text = f"{head}: {_names(leaders, mark)}"
    if answer["question"] == "forgiving":
        within = "within a tenth of its best" if len(leaders) == 1 else "each within a tenth of its best"
        return f"{text}, {within} over {_value(answer, leaders[0])} of the learning rate.", ""
    if len(leaders) == 1:
        text += f", a median of {_value(answer, leaders[0])}"
    elif answer["tested"]:
        text += ", not told apart"
    if len(leaders) == 2:
        text += f": {_effect(_pair(answer, *leaders), answer, mark)}"
    beside = [] if len(leaders) == 1 else [f"{_medians(answer)}."]
    if answer["scale"] == "gap" and answer["equal"] and len(leaders) > 1:
        beside.append(f"What is less than {number(answer['equal'], 2)} above the minimum counts as equal.")
    shown = [v for v in answer["values"].values() if v is not None]
    if answer["scale"] == "loss" and answer["equal"] and len(shown) > 1 and min(shown) < answer["equal"]:
        beside.append(f"What is less than {number(answer['equal'], 2)} counts as that.")
    first, some = _beaten(answer, mark) if answer["tested"] else ([], [])
    return " ".join([f"{text}.", *first]), " ".join([*beside, *some])


def _medians(answer: Answer) -> str:
    """The leaders' medians, or from where to where they go."""
    seen = list(dict.fromkeys(_value(answer, n) for n in answer["leaders"]))
    if len(seen) == 1:
        return f"All have a median of {seen[0]}"
    return (
        f"Medians of {seen[0]} and {seen[1]}"
        if len(answer["leaders"]) == 2
        else f"Medians go from {seen[0]} to {seen[-1]}"
    )


def _head(race: RaceResult, answer: Answer) -> str:
    settings = race["settings"]
    of = len(answer["values"])
    among = f", of the {of} methods that were rerun" if of < len(settings["methods"]) else ""
    return {
        "lowest": f"Lowest {settings['loss_name']} after {settings['steps']:,} steps{among}",
        "fastest": "Fastest to the target",
        "forgiving": f"Most forgiving of a careless rate{', of those that reach the target' if among else ''}",
        "held out": f"Best {answer['scale']} on held-out rows",
    }[answer["question"]]


def _beaten(answer: Answer, mark: Mark) -> tuple[list[str], list[str]]:
    """What all leaders beat and by how much the first beats the nearest; what only some of them beat."""
    leaders = answer["leaders"]
    lists = [answer["beats"].get(n, []) for n in leaders]
    common = [n for n in lists[0] if all(n in beaten for beaten in lists)]
    some = {n: [a for a, beaten in zip(leaders, lists, strict=True) if n in beaten] for n in answer["values"]}
    all_beat, some_beat = [], []
    if common:
        who = "It beats" if len(leaders) == 1 else "Both beat" if len(leaders) == 2 else "Each of them beats"
        everyone = len(common) == len(answer["values"]) - len(leaders) > 2
        all_beat.append(f"{who} {f'all {len(common)} others' if everyone else _names(common, mark)}.")
    for winners in dict.fromkeys(tuple(w) for n, w in some.items() if w and n not in common):
        losers = [n for n, w in some.items() if tuple(w) == winners and n not in common]
        some_beat.append(
            f"{_names(losers, mark)} {'is' if len(losers) == 1 else 'are'} beaten by {_names(winners, mark)}."
        )
    if common:
        effect = _effect(_pair(answer, leaders[0], common[0]), answer, mark)
        all_beat.append(f"The nearest is {mark(common[0])}: {effect}.")
    return all_beat, some_beat


def _pair(answer: Answer, a: str, b: str) -> VerdictRow:
    return next(v for v in answer["verdicts"] if v["a"] == a and v["b"] == b)


def _effect(v: VerdictRow, answer: Answer, mark: Mark) -> str:
    """How a differs from b over the paired runs: "Adam ends 0.51 × as high as SGD (0.45 to 0.58), lower in 28 of 30"."""
    a, b = mark(v["a"]), mark(v["b"])
    effect = v["ratio"] or v["difference"]
    assert effect is not None
    equal = f" and equal in {v['ties']}" if v["ties"] else ""
    runs = f"in {v['wins']}{equal} of {_count(v['pairs'], 'paired run')}"
    if v["ties"] == v["pairs"]:
        return f"the same in all {_count(v['pairs'], 'paired run')}"
    counted = answer["question"] == "fastest"
    if effect["median"] is None or (v["ratio"] and effect["median"] == 0.0):  # one failed in the median pair
        sound = a if 2 * v["wins"] + v["ties"] > v["pairs"] else b
        return f"{'only ' + sound + ' reaches it' if counted else sound + ' alone does not fail'} in the median pair, {a} wins {runs}"
    middle, low, high = number(effect["median"]), effect["low"], effect["high"]
    ends = f"{'−∞' if low is None else number(low)} to {'∞' if high is None else number(high)}"
    if counted:
        return f"{a} takes {middle} × the steps of {b} ({ends}), fewer {runs}"
    if v["ratio"] is None:
        word = "higher" if answer["question"] == "held out" else "lower"
        return f"{a} minus {b} is {middle} ({ends}), {word} {runs}"
    height = "far above the minimum" if answer["scale"] == "gap" else "high"
    return f"{a} ends {middle} × as {height} as {b} ({ends}), lower {runs}"


def _value(answer: Answer, name: str) -> str:
    """A method's median in words."""
    value = answer["values"][name]
    if value is None:
        return "∞"
    if answer["question"] == "fastest":
        return f"{steps(value)} step{'' if value == 1 else 's'}"
    if answer["question"] == "forgiving":
        return f"{number(value, 2)} decades"
    if answer["question"] == "held out" and "accuracy" in answer["scale"]:
        return f"{100 * value:.1f} %"
    return number(value)
