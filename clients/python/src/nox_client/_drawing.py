"""Molecules as drawings: an SVG that needs no script, no font and no other host, and so is seen wherever HTML is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

# Directions that a molecule is looked at from, to find the one from which it is widest.
DIRECTIONS = 200
# Ångström: atoms that are nearer than the sum of their radii and this are bonded.
BOND_SLACK = 0.4
# Of the covalent radius is a ball's.
BALL = 0.45
# Pixels between the outermost atoms and the border.
MARGIN = 24.0
# Pixels of an ångström, at most: an atom by itself is no balloon.
SCALE_MAX = 60.0

# Covalent radii in ångström (Cordero et al., 2008) and colours (as Jmol has them) of what molecules are mostly made of.
ELEMENTS = {
    "H": (0.31, "#ffffff"),
    "B": (0.84, "#ffb5b5"),
    "C": (0.76, "#909090"),
    "N": (0.71, "#3050f8"),
    "O": (0.66, "#ff0d0d"),
    "F": (0.57, "#90e050"),
    "Si": (1.11, "#f0c8a0"),
    "P": (1.07, "#ff8000"),
    "S": (1.05, "#ffff30"),
    "Cl": (1.02, "#1ff01f"),
    "Br": (1.20, "#a62929"),
    "I": (1.39, "#940094"),
}
OTHER = (1.3, "#d0a0c0")

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Atom:
    """An atom; coordinates in ångström."""

    element: str
    x: float
    y: float
    z: float

    @property
    def radius(self) -> float:
        return ELEMENTS.get(self.element, OTHER)[0]

    @property
    def colour(self) -> str:
        return ELEMENTS.get(self.element, OTHER)[1]


def svg(atoms: list[Atom], width: int, height: int) -> str:
    """Balls and sticks, seen from where they are widest. Atoms that lie further behind are drawn first."""
    seen = sorted(turned(atoms), key=lambda atom: atom.z)
    xs, ys = [atom.x for atom in seen], [atom.y for atom in seen]
    spans = (max(xs) - min(xs), max(ys) - min(ys))
    rooms = (width - 2 * MARGIN, height - 2 * MARGIN)
    scale = min(
        SCALE_MAX, *(room / max(span, 1e-9) for room, span in zip(rooms, spans, strict=True))
    )
    left = (width - scale * (max(xs) + min(xs))) / 2
    top = (height - scale * (max(ys) + min(ys))) / 2
    placed = [Atom(of.element, left + scale * of.x, top + scale * of.y, of.z) for of in seen]
    sticks: list[list[str]] = [[] for _ in seen]
    for one, other, length in _bonds(seen):
        a, b = placed[one], placed[other]
        # From surface to surface, and before the nearer ball, which may hide its end.
        begin, end = BALL * a.radius / length, 1 - BALL * b.radius / length
        x, y = b.x - a.x, b.y - a.y
        sticks[max(one, other)].append(
            f'<line x1="{a.x + begin * x:.1f}" y1="{a.y + begin * y:.1f}"'
            f' x2="{a.x + end * x:.1f}" y2="{a.y + end * y:.1f}"/>'
        )
    shapes: list[str] = []
    for atom, lines in zip(placed, sticks, strict=True):
        shapes += lines
        ball = scale * BALL * atom.radius
        shapes.append(
            f'<circle cx="{atom.x:.1f}" cy="{atom.y:.1f}" r="{max(ball, 1.5):.1f}" fill="{atom.colour}"/>'
        )
    style = (
        f'stroke="#666" stroke-width="{max(1.0, min(4.0, scale / 14)):.1f}" stroke-linecap="round"'
    )
    count = f"{len(atoms)} atom{'s' if len(atoms) != 1 else ''}"
    head = f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return f"{head}<title>{count}</title><g {style}>{''.join(shapes)}</g></svg>"


def _bonds(atoms: list[Atom]) -> Iterator[tuple[int, int, float]]:
    """Pairs of places, and how far they are apart. Only atoms that are near in x are compared, so that large systems take no square of time."""
    order = sorted(range(len(atoms)), key=lambda place: atoms[place].x)
    reach = 2 * max(atom.radius for atom in atoms) + BOND_SLACK
    for rank, one in enumerate(order):
        a = atoms[one]
        for other in order[rank + 1 :]:
            b = atoms[other]
            if b.x - a.x > reach:
                break
            length = math.dist((a.x, a.y, a.z), (b.x, b.y, b.z))
            if 0 < length < a.radius + b.radius + BOND_SLACK:
                yield one, other, length


def turned(atoms: list[Atom]) -> list[Atom]:
    """The same, seen along the direction in which they reach least, the longest side across: x right, y down, z nearer."""
    count = len(atoms)
    means = [
        sum(values) / count for values in zip(*((of.x, of.y, of.z) for of in atoms), strict=True)
    ]
    points = [(of.x - means[0], of.y - means[1], of.z - means[2]) for of in atoms]
    spread = [
        (
            sum(p[i] * p[0] for p in points),
            sum(p[i] * p[1] for p in points),
            sum(p[i] * p[2] for p in points),
        )
        for i in range(3)
    ]

    def reach(d: Vector) -> float:
        return _dot(d, (_dot(spread[0], d), _dot(spread[1], d), _dot(spread[2], d)))

    depth = min(_directions(), key=reach)
    across = _unit(_cross(depth, (0.0, 0.0, 1.0) if abs(depth[2]) < 0.9 else (1.0, 0.0, 0.0)))
    # Down, not up: else it would be seen in a mirror, and be another molecule.
    down = _cross(across, depth)
    flat = [(_dot(p, across), _dot(p, down), _dot(p, depth)) for p in points]
    xx, yy, xy = (sum(of[i] * of[j] for of in flat) for i, j in ((0, 0), (1, 1), (0, 1)))
    angle = math.atan2(2 * xy, xx - yy) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return [
        Atom(of.element, cos * x + sin * y, cos * y - sin * x, z)
        for of, (x, y, z) in zip(atoms, flat, strict=True)
    ]


def _directions() -> Iterator[Vector]:
    """Points all over half a sphere, by the golden angle."""
    for step in range(DIRECTIONS):
        z = 1 - step / DIRECTIONS
        turn = math.pi * (3 - math.sqrt(5)) * step
        across = math.sqrt(1 - z * z)
        yield across * math.cos(turn), across * math.sin(turn), z


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _unit(a: Vector) -> Vector:
    length = math.sqrt(_dot(a, a))
    return (a[0] / length, a[1] / length, a[2] / length)
