"""What is painted on the screen is no background; what stands still because it is far, or ahead, is."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from solver import slam
from solver.bundle.cameras import Observations
from solver.frames import compose, project
from solver.imports.masks import Masks
from solver.protocol import Reporter
from solver.records import Shot
from solver.slam import overlay

SIZE, COUNT = (320, 180), 16
SHOT = Shot("", "", "24/1", *SIZE, *SIZE, 0, COUNT, [[0, COUNT]], np.arange(COUNT) / 24)
OPTIONS = SimpleNamespace(camera_kind=None, focal_mm=None, fov=None)


class Scene:
    """A textured wall and a nearer one beside it before a camera that travels and turns; `paint` draws on the screen."""

    def __init__(self, paint=lambda picture, index: picture):
        rng = np.random.default_rng(2)
        self.textures = [cv2.resize(rng.integers(0, 255, (120, 160, 3), np.uint8), (1280, 960), interpolation=cv2.INTER_CUBIC) for _ in range(2)]
        self.paint = paint

    def read(self, index):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        turn = 0.004 * index
        R = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        K = np.array([[280.0, 0, 160], [0, 280, 90], [0, 0, 1]])
        centre = np.array([-0.5 + 0.045 * index, 0.01 * index, 0])
        for texture, depth, left in zip(self.textures, (6.0, 3.5), (-6.0, 0.3)):
            to_plane = np.array([[12 / 1280, 0, left], [0, 9 / 960, -4.5], [0, 0, 1]])  # texture px to metres on the wall
            H = K @ R @ (np.diag([1, 1, depth]) - np.outer(centre, [0, 0, 1])) @ to_plane
            drawn = cv2.warpPerspective(texture, H, SIZE, flags=cv2.INTER_AREA)
            here = cv2.warpPerspective(np.full(texture.shape[:2], 255, np.uint8), H, SIZE) > 254
            picture[here] = drawn[here]
        return self.paint(picture, index)


def lines(*said):
    def paint(picture, index):
        picture = picture.copy()
        for k, text in enumerate(said):
            at = (8, SIZE[1] - 8 - 16 * k) if k < 3 else (8, 14)
            for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(picture, text.format(index), at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
        return picture

    return paint


def barred(picture, index):
    picture = picture.copy()
    picture[:24], picture[-24:] = 0, 0
    picture = lines("REEL 3  SCENE 12  PROPERTY OF STUDIO")(picture, index)
    cv2.putText(picture, f"{index:05d} ROLL 7 NOT FOR RELEASE AB-12", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def logo(picture, index):
    picture = picture.copy()
    for k in range(3):
        cv2.rectangle(picture, (240 + 22 * k, 10), (258 + 22 * k, 34), (250, 40, 40), -1)
        cv2.putText(picture, "ABC"[k], (242 + 22 * k, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return picture


def follow(scene):
    report = Reporter()
    return slam.follow_background(SHOT, scene, None, report).obs, report.warnings


def left_standing(obs):
    """Points of at least ten observations that do not move on the screen by a pixel."""
    spans = [np.ptp(obs.xy[obs.point == p], axis=0).max() for p in np.flatnonzero(np.bincount(obs.point) >= 10)]
    return int((np.array(spans) < 1).sum())


@pytest.mark.parametrize(
    "paint",
    [lines("It was the best of times, it was the", "worst of times, it was the age"), lines("01:00:00:{:02d} A012 TAKE 4"), barred, logo],
    ids=["subtitles", "time code", "bars with titles", "logo"],
)
def test_what_is_painted_on_the_screen_is_not_followed(paint):
    obs, warnings = follow(Scene(paint))
    assert left_standing(obs) <= 2 and len(np.unique(obs.point)) > 150
    assert len(warnings) == 1 and "stands still on the screen" in warnings[0]


def test_a_moving_camera_stays_one_under_subtitles():
    """What was a tripod (3.4 px off) is the path that the plain picture gives."""
    plain, titled = (slam.run(SHOT, Scene(paint), None, None, OPTIONS, Reporter()) for paint in (lines(), barred))
    assert titled.verdict == plain.verdict == "full"
    between = plain.camera.T_world_from_cam[-1, :3, :3].T @ titled.camera.T_world_from_cam[-1, :3, :3]
    assert np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1))) < 0.5


def test_a_plain_picture_has_nothing_painted():
    assert follow(Scene())[1] == []


def tracks(points, T_world_from_cam, focal=300.0, noise=0.1):
    """Observations of points (N, 3) through cameras (T, 4, 4) on a 640 x 360 screen."""
    K = np.array([[focal, 0, 320], [0, focal, 180], [0, 0, 1]])
    rows = []
    for index, T in enumerate(T_world_from_cam):
        xy = project(points, np.linalg.inv(T), K) + np.random.default_rng(index).normal(0, noise, (len(points), 2))
        inside = np.isfinite(xy).all(1) & (xy > 0).all(1) & (xy < (640, 360)).all(1)
        rows.append((np.full(inside.sum(), index), np.flatnonzero(inside), xy[inside]))
    return Observations(*(np.concatenate(part) for part in zip(*rows)))


@pytest.mark.parametrize("kind", ["forward", "aside, shaken", "locked", "locked, then a pan"])
def test_what_stands_still_in_the_world_is_background(kind):
    """The point that a dolly goes to, stars before a camera that travels, all of a locked-off shot."""
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.uniform([-6, -4, 4], [6, 4, 14], (600, 3)), rng.uniform([-0.2, -0.2, 9], [0.2, 0.2, 12], (20, 3))])
    t = np.arange(30)
    c, angle = np.zeros((30, 3)), np.zeros(30)
    if kind == "forward":
        c[:, 2] = 0.05 * t
    elif kind == "aside, shaken":
        points = np.concatenate([points, rng.uniform([-900, -600, 1500], [900, -100, 2000], (40, 3))])
        c[:, 0], angle = 0.05 * t, 0.004 * np.sin(t)
    elif kind == "locked, then a pan":
        angle = 0.01 * np.maximum(t - 15, 0)
    R = np.stack([[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in angle])
    assert not overlay.painted(tracks(points, compose(R, c)), (640, 360), 0.1).any()


def test_a_split_screen_and_a_mirror_are_told():
    """Two moving pictures beside or above each other, the edge anywhere."""
    scene = Scene()

    def beside(at, axis):
        def paint(picture, index):
            other = scene.read(COUNT - 1 - index)
            picture = picture.copy()
            part = np.s_[:, at:] if axis == "x" else np.s_[at:]
            picture[part] = other[part]
            return picture

        return paint

    def mirrored(picture, index):
        picture = picture.copy()
        picture[:, 200:] = picture[:, 80:200][:, ::-1]
        return picture

    for axis, paint in (("x", beside(160, "x")), ("x", beside(107, "x")), ("y", beside(90, "y")), ("x", mirrored)):
        _, warnings = follow(Scene(paint))
        assert any("moves in two ways" in w and ("width" if axis == "x" else "height") in w for w in warnings), paint


def test_the_edge_of_a_head_is_no_seam():
    """A bust in the way, masked; to one side of x = 256 hair moves in its own way, as the other picture of a split screen would all the way down."""
    rng = np.random.default_rng(3)
    for low, told in ((130, None), (350, "x")):
        points = rng.uniform([5, 5], [635, low], (500, 2))
        way = np.where(points[:, :1] < 256, [[2.0, 0.5]], [[-2.0, 0.0]])
        walls = rng.uniform([5, 5], [635, 350], (500, 2))  # the rest of the background, away from the edge
        walls = walls[np.abs(walls[:, 0] - 256) > 100]
        xy = np.concatenate([points, walls])
        way = np.concatenate([way, np.broadcast_to([2.0, 0.5], walls.shape)])
        near = np.abs(xy[:, 0] - 256 - 2) > 26  # nothing passes over it
        xy, way = xy[near], way[near]
        rows = [(np.full(len(xy), t), np.arange(len(xy)), xy + (t - 6) * way * 0.5) for t in range(12)]
        found = overlay.seam(Observations(*(np.concatenate(part) for part in zip(*rows))), (640, 360))
        assert (found and found[0]) == told


def test_masks_can_say_nobody_and_nothing(tmp_path):
    """255 beside people is ignored by the camera too; alone it is a person, as always."""
    shot = Shot("/clip.mp4", "", "24/1", *SIZE, *SIZE, 0, 3, [[0, 3]], np.arange(3) / 24)
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[20:80, 20:60], labels[150:170] = 1, 255
    for folder, picture in (("both", labels), ("alone", np.where(labels == 255, 255, 0).astype(np.uint8))):
        (tmp_path / folder).mkdir()
        for k in range(3):
            Image.fromarray(picture).save(tmp_path / folder / f"{k}.png")
    both, alone = (Masks(tmp_path / name, shot) for name in ("both", "alone"))
    assert both.ids == [1] and np.array_equal(both.ignored(1), labels == 255) and not both.read(1)[labels == 255].any()
    assert alone.ids == [1] and not alone.ignored(1).any() and alone.read(1).any()
