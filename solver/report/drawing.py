"""Pictures of a solved shot for people to look at: bodies over the frame, and the world from outside. RGB uint8."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch

from ..fingers import CHAINS, Palm, points_of
from ..frames import compose, intrinsics, invert, project
from ..raster import shade
from ..records import World
from ..skeleton import colour_of
from ..stairs import footholds
from ..world.world import posed
from .measure import FEET

PAPER = np.array([24.0, 27.0, 33.0])  # the world view's background, bottom
SKY = np.array([46.0, 52.0, 62.0])  # and top
GRID = (92, 100, 114)
CAMERA = (255, 214, 102)
OPACITY = 0.78  # of bodies over the frame: the person below stays visible


class Cast:
    """The people of a world with a body around them, ready to be drawn at any frame."""

    def __init__(self, world: World, model):
        self.people = world.people
        self.camera = world.camera
        self.contact = world.contact
        self.faces = np.asarray(model.faces)
        self.joints, self.keypoints, self._vertices = posed(world.people, model)
        self.heights_m = model.height_m(torch.as_tensor(world.people.betas, dtype=model.dtype)).numpy()
        self.bodies = functools.lru_cache(maxsize=32)(self._bodies)

    def _bodies(self, index: int):
        """Vertices (V, 3) m of everyone visible at a frame, and their ids."""
        rows = np.flatnonzero(self.people.visible[:, index])
        return [self._vertices(p, index) for p in rows], [int(self.people.ids[p]) for p in rows]

    def hands(self, index: int):
        """Fingers known at a frame: lines (n, 3) m of each hand, and whose they are."""
        people, out = self.people, []
        if people.fingers is None:
            return out
        for p in np.flatnonzero(people.visible[:, index]):
            for side in np.flatnonzero(people.fingers_known[p, index] > 0.5):
                wrist, knuckles = self.joints[p, index, 20 + side], self.keypoints[p, index, [21 + side, 23 + side]]
                points = points_of(people.fingers[p, index, side], Palm.of(wrist, *knuckles, np.array(side == 1)))
                out.append(([points[[0, *chain]] for chain in CHAINS], int(people.ids[p])))
        return out

    def over(self, rgb, index, camera=None, opacity=OPACITY):
        """The frame with the solved people shaded over it, through the world's camera or another one."""
        camera = camera or self.camera
        vertices, ids = self.bodies(index)
        out = draw_bodies(rgb, vertices, self.faces, ids, camera.T_world_from_cam[index], camera.K[index], opacity)
        draw_hands(Pen(out, camera.T_world_from_cam[index], camera.K[index]), self.hands(index))
        return out


def draw_bodies(rgb, vertices, faces, ids, T_world_from_cam, K, opacity=1.0):
    """Shaded bodies over a picture."""
    if not vertices:
        return rgb.copy()
    height, width = rgb.shape[:2]
    picture, covered = shade(vertices, faces, ids, T_world_from_cam, K, width, height)
    out = rgb.copy()
    x, y, w, h = cv2.boundingRect(covered.astype(np.uint8))
    part = slice(y, y + h), slice(x, x + w)
    inside = covered[part].astype(np.float32)
    soft = (cv2.GaussianBlur(inside, (0, 0), 0.6) * inside * opacity)[..., None] if w and h else inside[..., None]
    out[part] = np.round(rgb[part] * (1 - soft) + picture[part] * soft).astype(np.uint8)
    return out


def draw_hands(pen, hands) -> None:
    """Fingers, as `Cast.hands` gives them, as lines over everything."""
    for lines, person in hands:
        pen.lines(lines, tuple(int(c) for c in np.array(colour_of(person)) * 0.35 + 165), 1)


def draw_outlines(picture, mask, colour=None) -> None:
    """Outlines, one pixel wide, of everyone in a mask (H, W) of person ids, into a picture of its size; in their own colours by default."""
    for person in np.unique(mask[mask > 0]):
        lines, _ = cv2.findContours((mask == person).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, colour or colour_of(int(person)), 1, cv2.LINE_AA)


class WorldView:
    """The world seen from outside: ground grid, people with their paths, the camera with its path and what it sees."""

    def __init__(self, cast: Cast, width: int, height: int, points=None):
        self.cast, self.width, self.height = cast, width, height
        self.centres = cast.camera.T_world_from_cam[:, :3, 3]
        visible = cast.people.visible
        self.feet = [np.where(v[:, None], j[:, 0] * [1, 1, 0], np.nan) for j, v in zip(cast.joints, visible)]
        pelvis = cast.joints[:, :, 0][visible] if len(visible) else np.zeros((0, 3))
        target = pelvis if len(pelvis) else self.centres + cast.camera.T_world_from_cam[:, :3, 2] * 4
        self._shown = np.concatenate([self.centres, target * [1, 1, 0], target * [1, 1, 0] + [0, 0, 1.9]])
        low, high = self._shown.min(0), self._shown.max(0)
        self.middle = (low + high) / 2
        self.radius = max(1.0, float(np.linalg.norm(high - low)) / 2)
        toward = np.median(target, 0) - np.median(self.centres, 0)
        self.azimuth = np.arctan2(toward[1], toward[0]) - np.pi / 2  # from the side of the line camera - people
        self.points = self._context(points)
        self.steps = [step.corners() for k, contact in zip(cast.keypoints, cast.contact) for step in footholds(k[:, list(FEET)], contact > 0.5)]
        self.grid = self._grid()
        self._distance = 1.0
        self._distance = max(self._fit(fraction) for fraction in (0, 0.25, 0.75))

    def _context(self, points):
        """Some background points near the action; directions of a camera that never moved say nothing about places."""
        if points is None or len(points) == 0 or np.ptp(self.centres, axis=0).max() < 0.05:
            return np.zeros((0, 3))
        near = points[np.linalg.norm(points - self.middle, axis=1) < 2.5 * self.radius]
        return near[:: max(1, len(near) // 1500)]

    def _fit(self, fraction):
        """How far away the onlooker must stand to see everything, metres."""
        T, K = self.view(fraction)
        local = (self._shown - self.middle) @ T[:3, :3]
        room = 0.86 * K[:2, 2] / K[0, 0]
        return float((np.abs(local[:, :2]) / room - local[:, 2:]).max().clip(self.radius))

    def view(self, fraction: float):
        """Pose and K of the onlooker; he sways a little, so that depth can be felt."""
        azimuth = self.azimuth + np.deg2rad(14) * np.sin(2 * np.pi * fraction)
        elevation = np.deg2rad(22)
        back = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
        R = np.stack([right, np.cross(-back, right), -back], 1)
        focal = self.height / 2 / np.tan(np.deg2rad(15))
        return compose(R, self.middle + back * self._distance), intrinsics(focal, self.width, self.height)

    def draw(self, index: int, frame=None):
        """The world at one frame; the frame's picture, if given, hangs in the camera's frustum."""
        frames = len(self.centres)
        T, K = self.view(index / max(frames, 24))
        ramp = np.linspace(0, 1, self.height)[:, None, None]
        canvas = np.broadcast_to(SKY * (1 - ramp) + PAPER * ramp, (self.height, self.width, 3)).astype(np.uint8).copy()
        pen = Pen(canvas, T, K)
        for colour, lines in self.grid:
            pen.lines(lines, colour, 1)
        pen.dots(self.points, (120, 130, 148))
        for top in self.steps:
            pen.fill(top, GRID, 0.35)
            pen.line(top[[0, 1, 2, 3, 0]], GRID, 1)
            for corner in top:
                pen.line(np.stack([corner, corner * [1, 1, 0]]), GRID, 1)
        vertices, ids = self.cast.bodies(index)
        for path, person in zip(self.feet, self.cast.people.ids):
            colour = np.array(colour_of(int(person)))
            pen.line(path, tuple(int(c) for c in colour * 0.45 + PAPER * 0.55), 1)
            pen.line(path[: index + 1], colour_of(int(person)), 2)
        for body in vertices:
            foot = body[:, :2].mean(0)
            angle = np.linspace(0, 2 * np.pi, 24)
            disc = np.c_[foot + 0.32 * np.c_[np.cos(angle), np.sin(angle)], np.zeros(24)]
            pen.fill(disc, (10, 11, 14), 0.45)
        pen.line(self.centres, (120, 106, 66), 1)
        canvas[:] = draw_bodies(canvas, vertices, self.cast.faces, ids, T, K)
        draw_hands(pen, self.cast.hands(index))
        pen.line(self.centres[: index + 1], CAMERA, 2)
        self._frustum(pen, index, frame)
        return canvas

    def _grid(self):
        """A round piece of ground that fades into the dark: (colour, lines (N, 3)) from dark to bright."""
        step = next(s for s in (0.5, 1, 2, 5, 10, 25, 50, 100, 1000) if self.radius / s < 7 or s == 1000)
        count = int(np.ceil(2.6 * self.radius / step))
        offset = np.arange(-count, count + 1) * step
        centre = np.append(np.round(self.middle[:2] / step) * step, 0)
        u, v = np.meshgrid(offset, np.linspace(-count * step, count * step, 8 * count + 1), indexing="ij")
        fade = np.clip(1 - np.hypot(u, v)[:, :-1] / (count * step), 0, 1)
        out = []
        for level in (0.15, 0.3, 0.45, 0.6, 0.75, 1.0):
            colour = tuple(int(g * level + p * (1 - level)) for g, p in zip(GRID, (SKY + PAPER) / 2))
            near = (fade <= level) & (fade > level - 0.15) if level < 1 else fade > 0.75
            lines = []
            for line, pieces in enumerate(near):
                for run in np.split(np.flatnonzero(pieces), np.flatnonzero(np.diff(np.flatnonzero(pieces)) > 1) + 1):
                    if len(run):
                        part = slice(run[0], run[-1] + 2)
                        lines.append(np.c_[u[line, part], v[line, part], 0 * u[line, part]] + centre)
                        lines.append(np.c_[v[line, part], u[line, part], 0 * u[line, part]] + centre)
            out.append((colour, lines))
        return out

    def _frustum(self, pen, index, frame):
        T, K = self.cast.camera.T_world_from_cam[index], self.cast.camera.K[index]
        depth = np.clip(0.16 * self.radius, 0.3, 3.0)
        w, h = 2 * K[0, 2], 2 * K[1, 2]
        corners = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1.0]]) @ np.linalg.inv(K).T * depth
        corners = corners @ T[:3, :3].T + T[:3, 3]
        if frame is not None:
            pen.picture(corners, frame, 0.85)
        for corner in corners:
            pen.line(np.stack([T[:3, 3], corner]), CAMERA, 1)
        pen.line(corners[[0, 1, 2, 3, 0]], CAMERA, 1)
        pen.line(np.stack([T[:3, 3]] * 2), CAMERA, 7)


class Pen:
    """Draws world geometry on a canvas through one camera."""

    def __init__(self, canvas, T_world_from_cam, K):
        self.canvas, self.K = canvas, K
        self.T_cam_from_world = invert(T_world_from_cam)

    def _pixels(self, points):
        with np.errstate(invalid="ignore"):
            pixels = project(points, self.T_cam_from_world, self.K) - 0.5
        return np.where(np.abs(pixels) < 16000, pixels, np.nan)

    def line(self, points, colour, width):
        """A line through (N, 3) points, interrupted at NaN and behind the camera."""
        self.lines([points], colour, width)

    def lines(self, lines, colour, width):
        """Several of them, in one go."""
        if not lines:
            return
        pixels = self._pixels(np.concatenate(lines))
        good = np.isfinite(pixels).all(1)
        first = np.zeros(len(pixels), bool)
        first[np.cumsum([0] + [len(points) for points in lines[:-1]])] = True
        ends = np.flatnonzero(first[1:] | (good[1:] != good[:-1])) + 1
        runs = [run for run in np.split(np.arange(len(pixels)), ends) if len(run) > 1 and good[run[0]]]
        fixed = [np.round(pixels[run] * 16).astype(np.int32) for run in runs]
        if fixed:
            cv2.polylines(self.canvas, fixed, False, colour, width, cv2.LINE_AA, 4)

    def fill(self, points, colour, opacity):
        pixels = self._pixels(points)
        if np.isfinite(pixels).all():
            layer = self.canvas.copy()
            cv2.fillPoly(layer, [np.round(pixels * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
            cv2.addWeighted(layer, opacity, self.canvas, 1 - opacity, 0, dst=self.canvas)

    def dots(self, points, colour):
        """Points (N, 3) as single pixels."""
        height, width = self.canvas.shape[:2]
        pixels = self._pixels(points)
        x, y = np.round(pixels[np.isfinite(pixels).all(1)]).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        self.canvas[y[inside], x[inside]] = colour

    def picture(self, corners, rgb, opacity):
        """A picture on a quadrilateral: corners (4, 3) top left, top right, bottom right, bottom left."""
        pixels = self._pixels(corners).astype(np.float32)
        if not np.isfinite(pixels).all():
            return
        small = cv2.resize(rgb, (160, max(1, round(160 * rgb.shape[0] / rgb.shape[1]))), interpolation=cv2.INTER_AREA)
        h, w = small.shape[:2]
        H = cv2.getPerspectiveTransform(np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32), pixels)
        size = (self.canvas.shape[1], self.canvas.shape[0])
        warped = cv2.warpPerspective(small, H, size)
        mask = cv2.warpPerspective(np.full((h, w), opacity, np.float32), H, size)[..., None]
        self.canvas[:] = np.round(self.canvas * (1 - mask) + warped * mask).astype(np.uint8)


@functools.lru_cache(maxsize=256)
def _text(text: str, size: int):
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    x0, _, x1, y1 = font.getbbox(text)
    image = Image.new("L", (int(x1 - x0) + 2, int(y1) + 4))
    ImageDraw.Draw(image).text((1 - x0, 0), text, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def label(canvas, text: str, x: int, y: int, size: int = 14, colour=(255, 255, 255)):
    """A caption on a dark chip with its top left corner at x, y; drawn into the canvas."""
    alpha = _text(text, size)
    pad = size // 2
    h, w = alpha.shape
    chip = canvas[y : y + h + pad, x : x + w + 2 * pad]
    chip[:] = (chip * 0.4).astype(np.uint8)
    inner = chip[pad // 2 : pad // 2 + h, pad : pad + w]
    a = alpha[: inner.shape[0], : inner.shape[1], None]
    inner[:] = np.round(inner * (1 - a) + np.array(colour) * a).astype(np.uint8)
