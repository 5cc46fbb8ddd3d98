"""Pictures that are shown again: pulldown, film laid into a faster rate, frames that a recorder dropped and filled with the last one."""

from __future__ import annotations

import numpy as np

TOP = 0.01  # share of the pixels whose change counts: somebody small before a still camera moves few
MOVES = 2.0  # grey levels; below, nothing moves and nothing can be told to repeat
AGAIN = 0.2  # a repeat changes by less than this part of what the pictures about it change by
FROZEN = 12  # pictures; a longer stillness is meant, or a pause
PERIOD = 26  # longest beat looked for: 24 laid into 25 repeats one of 25
BEATS, RECALL, PRECISION = 3, 0.6, 0.9  # a beat is heard so often, in so many of its places, and explains so many of the repeats


def change(before, after) -> float:
    """How much one small grey picture (H, W) uint8 differs from the next, grey levels: the mean of the `TOP` most changed pixels."""
    off = np.abs(after.astype(np.int16) - before).ravel()
    top = max(1, round(TOP * len(off)))
    return float(np.partition(off, len(off) - top)[-top:].mean())


def repeated(changes) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures show the one before again: (N,) bool, and (N,) bool where that could be told.

    changes: (N,) levels from the picture before; the first means nothing. A repeat is a short stillness between two clear changes.
    """
    changes = np.asarray(changes, float)
    again, told = np.zeros(len(changes), bool), np.zeros(len(changes), bool)
    k = 2
    while k < len(changes):
        high = changes[k - 1]
        end = k
        while end < len(changes) and end - k <= FROZEN and changes[end] < AGAIN * high:
            end += 1
        if high >= MOVES:
            told[k - 1] = True
            if end < len(changes) and k < end <= k + FROZEN and changes[k:end].max() < AGAIN * min(high, changes[end]):
                again[k:end] = told[k:end] = True
        k = max(end, k + 1)
    return again, told


def beat(again, told) -> np.ndarray | None:
    """The places of a steady pulldown: (period,) bool, True where a picture is a repeat, counted from the first picture; or None."""
    where = np.flatnonzero(again)
    if len(where) < BEATS:
        return None
    for period in range(2, min(PERIOD, len(again) // BEATS) + 1):
        heard = np.bincount(where % period, minlength=period)
        asked = np.bincount(np.flatnonzero(told | again) % period, minlength=period)
        places = (heard >= BEATS) & (heard >= RECALL * asked)
        if 0 < places.sum() < period and heard[places].sum() >= PRECISION * len(where):
            return places
    return None


def still(changes) -> list[tuple[int, int]]:
    """Runs [first, last] of more than `FROZEN` pictures that are the same to the last pixel."""
    same = np.flatnonzero(np.asarray(changes)[1:] == 0) + 1
    runs = np.split(same, np.flatnonzero(np.diff(same) > 1) + 1) if len(same) else []
    return [(int(r[0]), int(r[-1])) for r in runs if len(r) > FROZEN]
