"""How a file of poses may be read: which rows belong to which frames, which axes, which lens.

A reading is small and goes into the take's records, so that a run that goes on reads a file as the first run did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import numpy as np

NEAR = 0.25  # of the height of a person's box: joints farther off are not that person's
FINE = 0.4  # of NEAR, as a mean cost: what bodies of another build and joints of a network differ by
SURE = 0.2  # confidence of a joint that is compared
STRIDES = (2, 3, 4, 5, 6, 8, 10)
RATES = (12, 15, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)  # a second; 23.976 beside 24 is a frame in 40 s
SAME_RATE = 0.01  # share by which a file's rate may differ from the film's and mean the same (23.976 and 24)
AROUND = 8  # frames about the likely beginning in which a better one is looked for
PARTS = 400  # of a long clip that are tried
FINALISTS = 4  # strides and rates whose beginnings are looked for
ALIKE = 1.05  # readings whose cost differs by less cannot be told apart; the plainer one is taken
MUCH_BETTER = 0.6  # of the cost of the file's own reading, before another is used ...
BETTER = 0.85  # ... and before one is used for which the number of rows speaks


@dataclass(frozen=True)
class Reading:
    """The file's own (all defaults), or another: row number n, from 0, belongs to frame `first + step * n` of the shot."""

    step: float | None = None  # frames of the shot from row to row; None: as the file numbers them
    first: float = 0.0
    turn: str = ""  # other axes or rotation order, by the name that the file's rows have for it
    lens: float = 1.0  # factor on the focal length
    up: bool = False  # the world's other axis is up: y for z, or z for y
    unit: float = 1.0  # metres of the file's unit
    size: float = 1.0  # factor on pixels: they are of pictures of another size

    @property
    def own(self) -> bool:
        return self == Reading()

    def times(self, number, index) -> np.ndarray:
        """Frame of the shot (N,), with fractions, of rows numbered `number` that the file itself places at `index`."""
        return np.asarray(index, float) if self.step is None else self.first + self.step * np.asarray(number, float)

    def words(self, thing: str = "pose") -> str:
        """What an artist is told, to go behind "read as"."""
        parts = []
        if self.turn:
            parts.append(self.turn)
        if self.lens != 1:
            parts.append(f"with a lens {self.lens:.2f} times as long")
        if self.up:
            parts.append("with the other axis up")
        if self.unit != 1:
            parts.append(f"in units of {self.unit:g} m")
        if self.size != 1:
            parts.append(f"in pixels of pictures {1 / self.size:g} times as large")
        if self.step is not None:
            parts.append(_pace(self.step, thing))
            parts.append(
                f"from frame {self.first:g} of the shot on"
                if self.first >= 0
                else f"the first {-self.first:g} frames before the shot"
            )
        return ", ".join(parts) or "the file says"

    def to_json(self) -> dict:
        return asdict(self)


def _pace(step: float, thing: str) -> str:
    if step == 1:
        return f"one {thing} a frame"
    if step > 1 and step == int(step):
        return f"a {thing} every {int(step)} frames"
    if 1 / step == round(1 / step):
        return f"{round(1 / step)} {thing}s a frame"
    return f"{1 / step:.3g} {thing}s a frame"


def natural(shot) -> tuple[int, int]:
    """How many rows a file has that has one for every frame: of the shot, or of the clip."""
    clip = int(shot.pieces[-1][1]) if len(shot.pieces) else shot.start_frame + shot.frames
    return shot.frames, clip


def pace_of(rate: float | None, span: int, shot) -> float | None:
    """Frames of the shot from row to row, where a file's own rate is another than the film's; None: one a frame."""
    step = float(Fraction(shot.fps)) / rate if rate else 1.0
    # as many rows as frames: what a file says of its rate is often only a default
    return None if abs(step - 1) < SAME_RATE or span in natural(shot) else step


def at_pace(step: float, number, shot) -> np.ndarray:
    """Frame of the shot (N,), with fractions, of rows numbered from 0; of the whole clip where they span more than the shot."""
    number = np.asarray(number, float)
    longer = step * (number.max(initial=-1) + 1) >= shot.frames + max(step, 1)
    return step * number - (shot.start_frame if longer else 0)


def _counted(step: float, span: int, shot) -> bool:
    """Whether so many rows at this pace are just the shot or the clip, and one a frame would not be."""
    return span not in natural(shot) and any(abs(step * span - n) <= max(step, 1) / 2 for n in natural(shot))


def paces(span: int, shot, rate: float | None = None) -> list[float]:
    """Frames of the shot from row to row that `span` rows may stand for, the likeliest first."""
    fps = float(Fraction(shot.fps))
    clip = natural(shot)[1]
    steps = [
        1.0,
        *([fps / rate] if rate else []),
        *map(float, STRIDES),
        *(1.0 / n for n in STRIDES[:4]),
        *(fps / r for r in RATES),
    ]
    plausible = [
        s for s in dict.fromkeys(round(s, 9) for s in steps) if shot.frames / 2 <= s * span <= clip + 2 * max(s, 1)
    ]
    return sorted(plausible, key=lambda s: not _counted(s, span, shot))


def axes(turns=(), lenses=()) -> list[Reading]:
    """Readings with other axes, other lenses, and both."""
    turned, longer = [Reading(turn=t) for t in turns], [Reading(lens=f) for f in lenses]
    return [*turned, *longer, *(replace(t, lens=f.lens) for t in turned for f in longer)]


def _search(fit: Callable[[Reading], float], span: int, shot, variants, rate) -> Iterator[Reading]:
    """Readings worth a trial beside the file's own, the likeliest first. `fit` gives a reading's cost; the best of the variants
    and of the paces are carried on, so that a file that is off in two ways is still found."""
    cost, own = {}, Reading()

    def tried(reading):
        if reading not in cost:
            cost[reading] = fit(reading)
        return cost[reading]

    starts = dict.fromkeys((0.0, -float(shot.start_frame)))
    yield from variants
    carried = [own, *[a for a in sorted(variants, key=tried)[:2] if a != own]]
    coarse = [replace(a, step=s, first=b) for a in carried for s in paces(span, shot, rate) for b in starts]
    yield from coarse
    for base in sorted(coarse, key=tried)[:FINALISTS]:
        for n in range(1, AROUND + 1):
            for shift in (-n, n):
                yield replace(base, first=base.first + shift)
    # another part of the clip: coarsely where it is long, then about the best
    there = [
        n for n in range(AROUND - span, shot.frames - AROUND) if min(shot.frames, n + span) - max(0, n) >= shot.frames / 2
    ]
    stride = max(1, len(there) // PARTS)
    parts = [Reading(step=1.0, first=float(n)) for n in there[::stride]]
    yield from parts
    if stride > 1:
        best = min(parts, key=tried)
        yield from (Reading(step=1.0, first=best.first + n) for n in range(1 - stride, stride))


def choose(fit: Callable[[Reading], object], span: int, shot, variants=(), rate=None):
    """The reading that fits best, its fit, that of the file's own reading, and a rival at another time that fits as well, or None.

    fit:       gives an object with `cost` (0 best, 1 worst) for a reading. The file's own is kept unless another is far better.
    span:      rows of the file, counted to its last.
    variants:  other readings of the rows, which may come at any pace.
    """
    known = {}

    def fitted(reading):
        if reading not in known:
            known[reading] = fit(reading)
        return known[reading]

    own = Reading()
    order = list(dict.fromkeys([own, *_search(lambda r: fitted(r).cost, span, shot, variants, rate)]))
    lowest = min(fitted(r).cost for r in order)
    best = next(r for r in order if fitted(r).cost <= ALIKE * lowest + 1e-9)
    plain = best.step is not None and best == Reading(best.step, best.first) and best.first in (0.0, -shot.start_frame)
    if fitted(best).cost > (BETTER if plain and _counted(best.step, span, shot) else MUCH_BETTER) * fitted(own).cost:
        return own, fitted(own), fitted(own), None
    as_near = [
        r for r in order if fitted(r).cost <= ALIKE * fitted(best).cost and (r.step, r.first) != (best.step, best.first)
    ]
    return best, fitted(best), fitted(own), next(iter(as_near), None)


def fact(reading, fit, name) -> dict:
    """What `shot.json` says of a given thing: how it was read, and how well it fits."""
    px = None if not np.isfinite(fit.px) else round(fit.px, 2)
    return {
        "name": name,
        "reading": reading.to_json(),
        "px": px,
        "share": round(fit.share, 3),
        "compared": fit.count,
    }


def as_well(rival) -> str:
    """That another time would fit too, or nothing."""
    return (
        f" It would fit as well as {rival.words()}; where that is meant, export one pose for each frame."
        if rival
        else ""
    )


def in_px(px: float) -> str:
    """A distance in words."""
    return f"{px:.1f} px" if np.isfinite(px) else "far"
