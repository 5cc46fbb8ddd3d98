"""Up and the lens by straight edges of the background: upright ones meet in one vanishing point, level ones mostly in pairs at right angles, and right angles tell the focal length.

A mixture in each picture (Coughlan and Yuille's, with several level frames as in an Atlanta world): an edge is upright, or one of up to PAIRS
pairs of level directions, or level in any direction, or goes anywhere. Up and the turns of the pairs are found anew for each lens, and how
likely the edges then are tells lenses apart. What is looked at is the angle of an edge in the picture: in space, edges crowd about the view of a long lens.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .. import frames as fr

SIGMA_END = 0.7 / 640  # of the picture's width, an end of a segment
SIGMA_TURN = np.deg2rad(0.5)  # of a segment, rad: lenses bend, walls lean
SAME = np.deg2rad(0.6)  # segments of a picture in planes so near to each other count as one edge
WITNESS = 0.5  # edges of one house are not independent: errors over sigmas 1.15 with it, 1.22 with 0.18 (RMS, 96 stills of benchmarks.lens_stills dev)
PAIRS, PRICE = 3, 3.0  # pairs of level directions, and what one more has to be worth
FRAMES = 6  # pictures that are used
PITCH, ROLL, PEOPLE = np.deg2rad(15), np.deg2rad(5), np.deg2rad(10)  # of cameras, and of people's up, with long tails
GUESSES, BEST, SEARCHED = 150, 2, 2  # up and turn, drawn from edges; how many are fitted; in every so manieth lens
STEPS = 6
TILTED = np.cos(np.deg2rad(45))
SHORTEST, LONGEST, SPACING = 12.0, 150.0, 0.09  # mm, lenses that are tried, and how far apart in their logarithm
REACH = 3.5  # sigmas
# Log likelihood over edges that go anywhere from which up is believed. Errors over sigmas of up beyond it: 0.85-1.24, below 5 (RMS, 96 stills of benchmarks.lens_stills dev).
CLEAR = 60.0
SIGMA_UP = np.deg2rad(0.4)  # rad, no better than this


def posterior(edges, camera, size, sigma):
    """What edges make of a lens that was known to `sigma` (of its logarithm): by what factor it is longer (its logarithm), and the sigma left.

    Arguments as of `likelihood`.
    """
    mm = float(fr.focal_mm_from_px(np.median(camera.K[:, 0, 0]), *size))
    low, high = np.log(SHORTEST / mm), np.log(LONGEST / mm)
    low, high = max(low, -REACH * sigma), min(high, REACH * sigma)
    if not len(edges) or high <= low:
        return 0.0, sigma
    tried = np.linspace(low, high, max(int(np.ceil((high - low) / SPACING)), 5))
    told = likelihood(edges, camera, size, np.exp(tried))
    fine = np.linspace(low, high, 401)
    p = np.interp(fine, tried, told) - 0.5 * (fine / sigma) ** 2
    p = np.exp(p - p.max())
    p /= p.sum()
    mean = float(p @ fine)
    return mean, float(np.sqrt(p @ (fine - mean) ** 2))


def likelihood(edges, camera, size, factors) -> np.ndarray:
    """Log likelihood (F,) of lenses `factors` (F,) times the camera's, ascending; what is the same for all is left out.

    edges: (E, 5), see slam.edges. camera: records.Camera; its turns between frames are taken for as much smaller as the lens is longer. size: (width, height) px.
    """
    edges, rng = _thin(edges), np.random.default_rng(0)
    lenses = [_Edges(edges, camera, size, factor) for factor in factors]
    found = []
    for i, at in enumerate(lenses):
        starts = [_fit(at, guess) for guess in at.guesses(rng, at.view[:, 1])] if i % SEARCHED == 0 else []
        if found:
            starts.append(_fit(at, found[-1]))
        found.append(max((_grow(at, start) for start in starts), key=lambda world: world.score))
    for i in range(len(lenses) - 2, -1, -1):  # what a longer lens has found may suit a shorter one
        found[i] = max(found[i], _fit(lenses[i], found[i + 1]), key=lambda world: world.score)
    return np.array([world.score for world in found])


def up(edges, camera, size, guess, lens_sigma=0.0):
    """Mean (3,) and covariance (2, 2) rad² of up in the camera's frame of reference, and the axes (2, 3) across it that it is of; None where edges do not show it clearly.

    guess:      (3,) unit, up as people say. It says which of three directions at right angles is up, where a camera looks down on a floor.
    lens_sigma: of the logarithm of the focal length, which moves vanishing points. Other arguments as of `likelihood`.
    """
    if not len(edges):
        return None
    edges, rng = _thin(edges), np.random.default_rng(0)
    at = _Edges(edges, camera, size, 1.0, guess)
    starts = [start for down in (at.view[:, 1], -guess) for _ in range(2) for start in at.guesses(rng, down)]
    best = max((_grow(at, _fit(at, start)) for start in starts), key=lambda world: world.score)
    if best.score < CLEAR:
        return None
    mean = -best.axes[:, 1]
    axes = np.linalg.svd(mean[None])[2][1:]
    turns = np.cross(mean, axes)  # what a turn of the world moves up by, along each axis
    covariance = turns @ np.linalg.inv(best.information)[:3, :3] @ turns.T + np.eye(2) * SIGMA_UP**2
    if lens_sigma:
        moved = axes @ (mean + _fit(_Edges(edges, camera, size, float(np.exp(lens_sigma)), guess), best).axes[:, 1])
        covariance += np.outer(moved, moved)
    return mean, covariance, axes


def _thin(edges):
    """Those of a few pictures, evenly over the shot."""
    frames = np.unique(edges[:, 0])
    return edges[np.isin(edges[:, 0], frames[np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int))])]


class _World:
    """Axes (3, 3) by columns, the second one down; turns (n,) of level pairs about it, the first 0; shares (2n + 3,) of the mixture: down, each direction, level ones, any."""

    def __init__(self, axes, turns=(0.0,), shares=None, score=-np.inf, stray=None, information=None):
        self.axes, self.turns, self.score, self.stray, self.information = axes, np.asarray(turns, float), score, stray, information
        n = 1 + 2 * len(self.turns)
        self.shares = np.r_[np.full(n, 0.5 / n), 0.2, 0.3] if shares is None else shares

    def directions(self):
        """(3, 2n + 1): down, and the pairs."""
        return np.concatenate([self.axes[:, 1:2], *(_pair(self.axes, turn) for turn in self.turns)], 1)


def _pair(axes, turn):
    """Two level directions (3, 2) at right angles."""
    one = np.cos(turn) * axes[:, 0] + np.sin(turn) * axes[:, 2]
    return np.stack([one, np.cross(one, axes[:, 1])], 1)


class _Edges:
    """Segments seen through one lens."""

    def __init__(self, edges, camera, size, factor, guess=None):
        self.guess = guess
        frame = edges[:, 0].astype(int)
        shown = np.unique(frame)
        self.view = camera.T_world_from_cam[shown[len(shown) // 2], :3, :3]
        turn = Rotation.from_matrix(self.view.T @ camera.T_world_from_cam[shown, :3, :3]).as_rotvec() / factor
        R = (self.view @ Rotation.from_rotvec(turn).as_matrix())[np.searchsorted(shown, frame)]
        f, c = camera.K[frame, 0, 0] * factor, camera.K[frame, :2, 2]
        along = edges[:, 3:5] - edges[:, 1:3]
        length = np.hypot(*along.T)
        d, middle = along / length[:, None], (edges[:, 1:3] + edges[:, 3:5]) / 2 - c
        plane = lambda d: np.stack([f * d[:, 1], -f * d[:, 0], middle[:, 1] * d[:, 0] - middle[:, 0] * d[:, 1]], 1)
        self.plane = np.einsum("nij,nj->ni", R, plane(d))  # of the segment and the camera's centre, its normal in the world
        turned = np.einsum("nij,nj->ni", R, plane(np.stack([-d[:, 1], d[:, 0]], 1)))
        self.cross = np.cross(self.plane, turned)
        # Towards a direction a in the picture: f a_x - x a_z, f a_y - y a_z in the camera's axes.
        zero = np.zeros(len(f))
        self.towards = np.stack([np.stack([f, zero, -middle[:, 0]], 1), np.stack([zero, f, -middle[:, 1]], 1)], 1) @ np.swapaxes(R, 1, 2)
        self.sigma = np.hypot(SIGMA_END * size[0] * np.sqrt(2) / length, SIGMA_TURN)
        self.normal = self.plane / np.linalg.norm(self.plane, axis=1, keepdims=True)
        self.weight = np.zeros(len(f))
        usual = _unit(np.c_[size[0] * d[:, 1], -size[0] * d[:, 0], middle[:, 1] * d[:, 0] - middle[:, 0] * d[:, 1]])  # the same for every lens
        for one in shown:
            like = np.exp(-0.5 / SAME**2 * (1 - (usual[frame == one] @ usual[frame == one].T) ** 2)).sum(1)
            self.weight[frame == one] = WITNESS / len(shown) / like

    def off(self, directions):
        """Sines (n, k) of the angles in the picture between segments and the way to directions (3, k), and by what `plane @ directions` becomes them (n, k)."""
        px, py = (self.towards[:, i] @ directions for i in (0, 1))
        scale = 1 / np.sqrt(px**2 + py**2 + 1e-9)
        return self.plane @ directions * scale, scale

    def density(self, off):
        """Of angles, relative to one that may be any."""
        s = self.sigma[:, None]
        return np.pi * np.exp(-0.5 * (off / s) ** 2) / (s * np.sqrt(2 * np.pi))

    def level(self, down):
        """Density (n,) of angles of level lines of any direction, relative to one that may be any; no sharper than a segment is known."""
        rate = np.abs(self.cross @ down) / (np.cross(self.plane, down) ** 2).sum(1).clip(1e-9)
        return np.minimum(rate, np.pi / (2 * self.sigma))

    def prior(self, axes):
        up = -axes[:, 1]
        people = 0.0 if self.guess is None else 1.5 * np.log1p((np.arccos(np.clip(up @ self.guess, -1, 1)) / PEOPLE) ** 2)
        return -np.log1p((up @ self.view[:, 0] / ROLL) ** 2) - np.log1p((up @ self.view[:, 2] / PITCH) ** 2) - people

    def guesses(self, rng, about):
        """The likeliest worlds among those that three edges give, down within 45° of `about` (3,)."""
        p = self.weight / self.sigma
        p /= p.sum()
        upright = np.where(np.abs(self.normal @ about) < 0.5, p, 0)
        draw = lambda p: rng.choice(len(p), GUESSES, p=p / p.sum())
        pick = lambda p: np.cross(self.normal[draw(p)], self.normal[draw(p)])
        level = _unit(pick(p))
        down = about - level * (level @ about)[:, None]  # of two level edges
        if (upright > 0).sum() > 1:
            half = GUESSES // 2
            down[half:] = pick(upright)[half:]
        down = _unit(down)
        down = down * np.sign(down @ about)[:, None]
        down[0] = about
        across = _unit(np.cross(self.normal[draw(p)], down))
        across[0] = _unit(np.cross(np.eye(3)[np.abs(about).argmin()], about))
        axes = np.stack([across, down, np.cross(across, down)], 2)[(down @ about > TILTED) & (np.abs(across).max(1) > 0)]
        off, _ = self.off(axes.transpose(1, 0, 2).reshape(3, -1))
        like = np.log(0.2 * self.density(off / 2).reshape(len(off), -1, 3).sum(2) / 2 + 0.4)
        scores = self.weight @ like + [self.prior(one) for one in axes]
        return [_World(axes[i]) for i in np.argsort(-scores)[:BEST]]


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)


def _fit(at: _Edges, start: _World) -> _World:
    """A world settled by expectation and maximisation, a Gauss-Newton step each."""
    axes, turns, shares = start.axes, start.turns.copy(), start.shares

    def parts(directions):
        off, scale = at.off(directions)
        return off, scale, np.c_[at.density(off) * shares[:-2], shares[-2] * at.level(directions[:, 0]), np.full(len(off), shares[-1])]

    for _ in range(STEPS):
        directions = _World(axes, turns).directions()
        off, scale, part = parts(directions)
        share = part / part.sum(1, keepdims=True)
        shares = at.weight @ share + 1.0
        shares /= shares.sum()
        sure = share[:, :-2] * (at.weight / at.sigma**2)[:, None]
        H, g = np.diag(np.r_[np.full(3, 5.0), np.full(len(turns), 5.0)]), np.zeros(3 + len(turns))
        for k in range(directions.shape[1]):
            J = np.zeros((len(off), len(g)))
            J[:, :3] = np.cross(directions[:, k], at.plane) * scale[:, k, None]  # the direction turned by w: w x a
            if k:
                J[:, 3 + (k - 1) // 2] = at.plane @ np.cross(-axes[:, 1], directions[:, k]) * scale[:, k]
            H += (J * sure[:, k, None]).T @ J
            g -= J.T @ (sure[:, k] * off[:, k])
        H[3], H[:, 3], g[3] = 0, 0, 0  # the first pair turns with the axes
        H[3, 3] = 1
        step = np.clip(np.linalg.solve(H, g), -0.1, 0.1)
        axes = Rotation.from_rotvec(step[:3]).as_matrix() @ axes
        turns += step[3:]
    part = parts(_World(axes, turns).directions())[2]
    score = at.weight @ np.log(part.sum(1)) - PRICE * (len(turns) - 1) + at.prior(axes)
    return _World(axes, turns, shares, score, at.weight * part[:, -2:].sum(1) / part.sum(1), H)


def _grow(at: _Edges, world: _World) -> _World:
    """With more pairs of level directions, as long as they pay."""
    turns = np.deg2rad(np.arange(0, 90, 2.0))
    while len(world.turns) < PAIRS:
        off, _ = at.off(np.concatenate([_pair(world.axes, turn) for turn in turns], 1))
        gain = world.stray @ np.log1p(0.2 * at.density(off / 1.5).reshape(len(off), -1, 2).sum(2) / 1.5)
        more = _fit(at, _World(world.axes, np.r_[world.turns, turns[gain.argmax()]]))
        if more.score <= world.score:
            break
        world = more
    return world
