"""Background points under a given camera: where they are, and how far from where they were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..records import Camera

LIMIT_PX = 3.0  # of a picture 640 px wide: within it a point is where the camera says
MOST = 12_000  # observations that are compared; a shot's longest tracks, evenly over the picture
FLOOR = 0.02  # of LIMIT_PX: nearer than that is chance
ENOUGH = 40  # observations without which nothing can be said


@dataclass(frozen=True)
class Fit:
    """How well a reading fits what the picture shows."""

    px: float  # median distance in px of the shot's frames, NaN where nothing could be compared
    share: float  # of what was compared: near enough
    cost: float  # 0 all on its place and all frames covered .. 1
    count: int  # what was compared

    @property
    def fits(self) -> bool:
        """Whether most of it is where it should be."""
        return self.share > 0.5


NOTHING = Fit(float("nan"), 0.0, 1.0, 0)  # where nothing could be compared


def place(camera: Camera, obs, size, points: int, travels: bool):
    """Points seen by a camera: the slam stage's Model with directions and inverse distances, and the px error of each observation.

    obs: bundle.cameras.Observations. travels: False leaves the points at infinity.
    """
    from ..bundle.cameras import Model
    from ..slam import structure
    from ..slam.turning import rays

    K = camera.K
    # the slam stage's cameras have their principal point in the middle and square pixels
    focal = K[obs.frame][:, [0, 1], [0, 1]]
    middle = (obs.xy - K[obs.frame, :2, 2]) * focal[:, :1] / focal + np.array(size) / 2
    centred = type(obs)(obs.frame, obs.point, middle)
    R = np.swapaxes(camera.T_world_from_cam[:, :3, :3], 1, 2)
    c = camera.T_world_from_cam[:, :3, 3]
    model = Model(R, c, np.log(K[:, 0, 0]), np.zeros((points, 3)), np.zeros(points))
    if travels:
        model.d, model.w = structure.triangulate(model, centred, size, points)
    else:  # nothing tells a depth: the mean of the rays
        world = np.einsum("mji,mj->mi", R[obs.frame], rays(centred, model.log_f, size))
        total = np.stack([np.bincount(obs.point, column, points) for column in world.T], -1)
        model.d = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return model, centred, structure.errors(model, centred, size)


class Background:
    """What was followed of a shot's background, to hold cameras against."""

    def __init__(self, obs, size, frames: int):
        """obs: bundle.cameras.Observations of tracks that were seen three times or more, sorted by point."""
        length = np.bincount(obs.point)
        order = np.random.default_rng(0).permutation(len(length))
        chosen = order[: max(1, int(np.searchsorted(np.cumsum(length[order]), MOST)))]
        keep = np.isin(obs.point, chosen)
        self.obs, self.size, self.frames = obs.only(keep), size, frames
        self.limit = LIMIT_PX * size[0] / 640

    def __len__(self):
        return len(self.obs)

    def fit(self, camera: Camera, covered) -> Fit:
        """How well the background stands still under a camera. covered (T,): frames in which the camera is known; the others
        count as not explained, so that no reading wins by saying less."""
        part = self.obs.only(covered[self.obs.frame])
        length = np.bincount(part.point, minlength=1)
        part = part.only(length[part.point] >= 3)
        if len(part) < ENOUGH:
            return NOTHING
        number = np.cumsum(np.bincount(part.point) > 0) - 1
        part = type(part)(part.frame, number[part.point], part.xy)
        # the gauge: numbers of a world far from its origin lose digits
        T = camera.T_world_from_cam.copy()
        T[:, :3, 3] -= T[covered, :3, 3].mean(0)
        spread = np.abs(T[covered, :3, 3]).max()
        moves = spread > 1e-9 * max(1.0, np.abs(camera.T_world_from_cam[covered, :3, 3]).max())
        T[:, :3, 3] /= spread if moves else np.inf
        error = place(Camera(T, camera.K), part, self.size, int(number[-1]) + 1, moves)[2]
        # the geometric mean: a camera that is three times as near is that much better, whether by 3 px or by 0.1
        near = np.log(np.clip(error / self.limit, FLOOR, 1.0)).sum() / len(self.obs)
        return Fit(float(np.median(error)), float((error < self.limit).mean()), float(np.exp(near)), len(part))


def followed(shot, frames, masks, report):
    """Background of a shot, or None where there is too little to follow; see slam.follow_background."""
    from ..slam import follow_background, thin

    size = (shot.width, shot.height)
    found = follow_background(shot, frames, masks, report)
    obs, _ = thin(found.obs, len(found.colours), shot.frames, size)
    return Background(obs, size, shot.frames) if len(obs) >= ENOUGH else None
