"""How the loss fell while a model learnt, in so many points at most, however many rows there are."""

POINTS = 256  # at most; then pairs become one
FIRST_ROWS = 64  # of the first chunk, whose rows may be all there are, a point has at least so many
FIRST_POINTS = 32

Point = list[float]  # stretches of rows that it sums up; rows, weight, and weight times loss over them


def lengthen(curve: list[Point], rows: int, weight: float, loss: float) -> None:
    """Add the next rows to a curve, in place: the sums of their weights and of weight times loss, before each was learnt from.

    Every point but the last sums up as many stretches as the first one.
    """
    whole = curve[0][0] if curve else 1
    if not curve or curve[-1][0] >= whole:
        if len(curve) >= POINTS:
            pairs = zip(curve[::2], curve[1::2], strict=True)
            curve[:] = [[x + y for x, y in zip(a, b, strict=True)] for a, b in pairs]
        curve.append([0, 0, 0.0, 0.0])
    last = curve[-1]
    curve[-1] = [last[0] + 1, last[1] + rows, last[2] + weight, last[3] + loss]


def pieces(rows: int) -> int:
    """In how many pieces the rows of the first chunk are learnt, so that a small file has a curve too."""
    return max(1, min(FIRST_POINTS, rows // FIRST_ROWS))


def plain(curve: list[Point]) -> list[dict[str, float]]:
    """The points as JSON has them: rows learnt from in all, and the mean loss since the point before."""
    points, rows = [], 0
    for _, more, weight, loss in curve:
        rows += int(more)
        if weight:
            points.append({"rows": rows, "loss": loss / weight})
    return points


def require_curve(curve: list[Point]) -> None:
    """Raise ValueError unless it is a curve that a run can have saved."""
    if not isinstance(curve, list) or len(curve) > POINTS:
        raise ValueError("the curve must be a list of points")
    for point in curve:
        sound = isinstance(point, list) and len(point) == 4
        sound = sound and all(type(x) in (int, float) for x in point)
        if not sound or type(point[0]) is not int or type(point[1]) is not int or min(point[:3]) < 0:
            raise ValueError("a point of the curve must be four numbers")
