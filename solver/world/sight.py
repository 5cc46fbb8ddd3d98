"""Who is in sight where their track is lost: people who pass behind others.

The networks answer with the one in front long before the one behind is gone. f_H bridges such a gap; how much of a bridged body the
others leave in sight is then a matter of geometry.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..raster import instance_mask
from ..records import Camera

LONGEST = 1.5  # s, a gap over which a bridged motion is trusted
COVERED = 0.5  # share of a body that others hide somewhere in a gap of which they are taken for the cause
IN_SIGHT = 0.1  # share of a body that still counts as seen


def in_sight(visible, vertices, faces, camera: Camera, width: int, height: int, fps: float) -> np.ndarray:
    """Whom the picture shows (P, T) bool: those whom the track found and, in short gaps that others cause, those whom the others do not hide.

    visible: (P, T) bool, of the track. vertices: (person, frame) -> (V, 3) world metres. faces: (F, 3).
    A gap with another cause, such as a tree, stays as it is: what hides somebody there is not known.
    """
    out = visible.copy()
    for p, found in enumerate(visible):
        for a, b in pairwise(np.flatnonzero(found)):
            if 1 < b - a <= LONGEST * fps:
                shares = [_share(p, t, visible, vertices, faces, camera, width, height) for t in range(a + 1, b)]
                if any(share < 1 - COVERED for share in shares):
                    out[p, a + 1 : b] = np.array(shares) > IN_SIGHT
    return out


def _share(p, t, visible, vertices, faces, camera, width, height) -> float:
    """Share of p's pixels in frame t that are not behind the others found there; NaN where p is out of the picture."""
    body, others = vertices(p, t), [vertices(q, t) for q in np.flatnonzero(visible[:, t])]
    view = camera.T_world_from_cam[t], camera.K[t], width, height
    alone = instance_mask([body], faces, [1], *view) > 0
    among = instance_mask([body, *others], faces, [1] + [2] * len(others), *view) == 1
    return float(among.sum() / alone.sum()) if alone.any() else np.nan
