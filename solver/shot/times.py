"""One model of time: the frames of a shot lie on a regular grid; a picture has its place there by its presentation time.

The grid's step is the one that nearly all pictures keep. Places without a picture are holes: frames that are there, but unmeasured.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

RATES = tuple(Fraction(n) for n in (12, 15, 24, 25, 30, 48, 50, 60, 100, 120))
RATES += tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120))
ALIKE = 1.2  # steps within this factor are one step
LONGEST_S, LONGEST_STEPS = 1.0, 8  # a longer hole cannot be bridged: the shot ends there


@dataclass
class Grid:
    """Where the N pictures of a source lie on its grid."""

    rate: Fraction  # frames a second
    number: np.ndarray  # (N,) int, rising; -1 for a picture that lies nearer to its neighbour than to any free place
    breaks: list  # pictures before which the hole is too long to bridge
    regular: float  # share of the steps that are the common one


def lay_out(times, nominal=(), resolution_s: float = 0.0) -> Grid:
    """The grid of N pictures.

    times:         (N,) s, rising.
    nominal:       rates that the file names, taken where they agree with the times.
    resolution_s:  to which the times are rounded.
    """
    rate, regular = _rate(times, nominal, resolution_s)
    number, breaks, last = np.zeros(len(times), int), [], 0
    for k in range(1, len(times)):
        exact = (times[k] - times[0]) * float(rate)
        if _too_long(times[k] - times[k - 1], float(1 / rate)):
            breaks.append(k)
        place = max(round(exact), last + 1)
        if place - exact > 1:
            number[k] = -1
            continue
        number[k] = last = place
    return Grid(rate, number, breaks, regular)


def of_numbers(numbers, rate: Fraction) -> Grid:
    """The grid of pictures that have numbers of their own, (N,) int rising from 0."""
    breaks = np.flatnonzero(_too_long(np.diff(numbers) / float(rate), float(1 / rate))) + 1
    return Grid(rate, np.asarray(numbers), breaks.tolist(), 1.0)


def _rate(times, nominal, resolution_s) -> tuple[Fraction, float]:
    """The common step as a rate, and the share of steps that keep it."""
    named = [Fraction(r) for r in nominal if r and 0 < r <= 1000]
    steps = np.diff(times)
    if not len(steps):
        return (named or [Fraction(24)])[0], 1.0
    ordered = np.sort(steps)
    crowd = np.searchsorted(ordered, ordered * ALIKE, "right") - np.arange(len(ordered))
    first = int(np.argmax(crowd))
    step = float(np.median(ordered[first : first + crowd[first]]))
    near = steps[(steps > 0.5 * step) & (steps < 1.5 * step)]
    at = np.r_[0, np.cumsum(np.where(_too_long(steps, step), step, steps))]
    step, reach = float(near.mean()), 8
    while reach < 2 * len(at):  # a line through the first few, then through more: no place is counted wrong on the way
        part = at[:reach]
        place = np.round(part / step)
        if np.ptp(place) > 0:
            step = float(np.polyfit(place, part, 1)[0])
        reach *= 2
    # What rounding and a shaking clock leave open at the two ends, spread over all steps.
    place, total = np.round(at / step), max(round(at[-1] / step), 1)
    slack = 1.5 * resolution_s + 2 * np.std(at - place * step) + 1e-6
    share = float(crowd[first] / len(steps))
    for rate in (*named, *RATES):
        if abs(total * (float(1 / rate) - step)) <= slack:
            return rate, share
    return min(max(Fraction(1 / step).limit_denominator(1001), Fraction(1, 1001)), Fraction(1000)), share


def _too_long(step_s, usual_s):
    return step_s > max(LONGEST_S, LONGEST_STEPS * usual_s)


def standard(rate: Fraction) -> Fraction:
    """The usual rate within a part in five thousand of an odd one, or the odd one itself."""
    return min((r for r in RATES if abs(r / rate - 1) < Fraction(1, 5000)), key=lambda r: abs(r - rate), default=rate)


def listed(numbers, most: int = 8) -> str:
    """Numbers as an artist writes them: 3, 7, 9-12."""
    runs = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    said = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:most]]
    return ", ".join(said) + (f" and {len(runs) - most} more places" if len(runs) > most else "")


def timecode_frames(text: str, rate: Fraction) -> int | None:
    """Frames since 00:00:00:00 of a start timecode `hh:mm:ss:ff`, with `;` for drop-frame; None where it is none."""
    parts = str(text).replace(";", ":").replace(".", ":").split(":")
    if len(parts) != 4 or not all(p.isdigit() for p in parts):
        return None
    hours, minutes, seconds, frames = (int(p) for p in parts)
    whole = round(rate)
    count = ((hours * 60 + minutes) * 60 + seconds) * whole + frames
    if ";" in text and whole % 30 == 0:  # the first two (four) numbers of every minute are left out, but for each tenth
        minutes += 60 * hours
        count -= 2 * (whole // 30) * (minutes - minutes // 10)
    return count
