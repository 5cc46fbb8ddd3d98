"""The clean plate against backgrounds that are known exactly."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from solver import plate
from solver.frames import invert, project
from solver.plate import belongs, edge_softness, walls
from solver.plate import light as lights
from solver.plate.erase import Erase, Shadows, nearest_owner
from solver.plate.guess import complete
from solver.plate.inpaint import inpaint, parts
from solver.plate.paint import RELIT
from solver.plate.pushpull import push_pull
from solver.plate.register import Registration
from solver.plate.sources import choose_plane
from solver.protocol import Reporter, ShotError, Stopped
from solver.records import Camera, Slam
from solver.take import read_mask

WIDTH, HEIGHT, FRAMES = 240, 136, 20


def texture(height, width, seed=0):
    """A picture with detail at several scales, RGB uint8."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width, 3), np.float32)
    for size, amount in ((4, 25), (10, 40), (40, 60)):
        noise = rng.normal(size=(height // size + 3, width // size + 3, 3)).astype(np.float32)
        out += amount * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 0.5 * out, 0, 255).astype(np.uint8)


def slam_of(verdict, camera, points=None):
    points = np.zeros((0, 3)) if points is None else points
    frame, point, xy = [], [], []
    T_cam = invert(camera.T_world_from_cam)
    for t in range(len(T_cam)):
        pixels = project(points, T_cam[t], camera.K[t])
        inside = ((pixels > 0) & (pixels < [WIDTH, HEIGHT])).all(1)
        frame += [t] * inside.sum()
        point += list(np.nonzero(inside)[0])
        xy += list(pixels[inside])
    return Slam(
        camera, verdict, {}, "given", 0.0, np.ones(len(T_cam), bool), points, np.zeros((len(points), 3), np.uint8),
        np.array(frame, int), np.array(point, int), np.array(xy).reshape(-1, 2),
    )  # fmt: skip


def camera_of(verdict):
    K = np.array([[200.0, 0, WIDTH / 2], [0, 200, HEIGHT / 2], [0, 0, 1]])
    T = np.tile(np.eye(4), (FRAMES, 1, 1))
    for t in range(FRAMES):
        if verdict == "rotation":
            T[t, :3, :3] = cv2.Rodrigues(np.array([0.002 * t, 0.012 * t, 0.001 * t]))[0]
        elif verdict == "full":
            T[t, :3, 3] = [0.06 * t, 0.01 * t, 0.05 * t]
    return Camera(T, np.tile(K, (FRAMES, 1, 1)))


def homography_to_wall(camera, t):
    """Pixels of frame t (OpenCV) to those of a wall of 3 px per camera pixel at depth 4, for any of the verdicts."""
    T, K = camera.T_world_from_cam[t], camera.K[t]
    # world point on z = 4 -> pixel: K R^T (X - c), with X = (x, y, 4); wall pixel = (x, y) * 150 + middle
    from_plane = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 4.0]])
    from_plane[:, 2] -= T[:3, 3]
    pixel_from_plane = K @ T[:3, :3].T @ from_plane
    wall_from_plane = np.array([[100.0, 0, 450], [0, 100, 300], [0, 0, 1]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    return np.linalg.inv(half) @ wall_from_plane @ np.linalg.inv(pixel_from_plane) @ half


def make(verdict, stays=False, slam="given", gain=None):
    """A shot with its true background: frames, masks, truth, slam. The person is a disc that crosses (or stays)."""
    camera = camera_of(verdict)
    wall = texture(600, 900)
    truth, frames, masks = [], [], []
    for t in range(FRAMES):
        H = homography_to_wall(camera, t)
        background = cv2.warpPerspective(wall, H, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        if gain is not None:
            background = np.clip(background * gain(t), 0, 255).astype(np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = (WIDTH // 2, 70) if stays else (25 + 10 * t, 70)
        cv2.ellipse(mask, centre, (12, 30), 0, 0, 360, 1, -1)
        frame = background.copy()
        frame[mask > 0] = (255, 0, 255)
        truth.append(background)
        frames.append(frame)
        masks.append(mask)
    points = None
    if verdict == "full":
        rng = np.random.default_rng(3)
        points = np.c_[rng.uniform(-3, 4, 400), rng.uniform(-2, 2, 400), np.full(400, 4.0)]
    return SimpleNamespace(
        shot=SimpleNamespace(frames=FRAMES, width=WIDTH, height=HEIGHT, fps="24/1"),
        frames=SimpleNamespace(read=lambda i: frames[i]),
        masks=lambda i: masks[i],
        slam=slam_of(verdict, camera, points) if slam == "given" else None,
        truth=truth,
        seen=frames,
        mask=masks,
    )


def paint(case):
    verdict = case.slam.verdict if case.slam else "full"
    painter = plate.Painter(case.shot, case.frames, Erase(case.masks, 4), verdict, None, case.slam)
    results = [painter.paint(i) for i in range(FRAMES)]
    holes = [painter.window.hole(i).copy() for i in range(FRAMES)]
    return [r[0] for r in results], [r[1] for r in results], holes


def psnr_in(plates, truth, where):
    error = [(p.astype(float) - t)[w] ** 2 for p, t, w in zip(plates, truth, where)]
    return 10 * np.log10(255**2 / max(np.concatenate(error).mean(), 1e-9))


@pytest.mark.parametrize(("verdict", "slam"), [("static", 1), ("rotation", 1), ("full", 1), ("full", 0)])
def test_fills_what_was_seen_elsewhere(verdict, slam):
    case = make(verdict, slam="given" if slam else None)
    plates, unseen, holes = paint(case)
    assert psnr_in(plates, case.truth, holes) > 30
    for p, original, hole, u in zip(plates, case.seen, holes, unseen):
        assert np.array_equal(p[~hole], original[~hole])  # bit for bit
        assert (u[~hole] == 0).all()
        assert (u > 127).mean() < 0.002  # everything was seen at some time


@pytest.mark.parametrize("verdict", ["static", "rotation"])
def test_marks_what_was_never_seen(verdict):
    case = make(verdict, stays=True)
    plates, unseen, holes = paint(case)
    t = FRAMES // 2
    if verdict == "static":
        assert np.array_equal(unseen[t] > 127, holes[t])
    # truth of visibility: carry every frame's background into frame t's pixels
    camera = case.slam.camera
    visible = np.zeros((HEIGHT, WIDTH), bool)
    for s in range(FRAMES):
        H = np.linalg.inv(homography_to_wall(camera, s)) @ homography_to_wall(camera, t)
        covered = cv2.warpPerspective(
            holes[s].astype(np.uint8), H, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=1
        )
        visible |= covered == 0
    wrong = (unseen[t] > 127) != (holes[t] & ~visible)
    assert wrong[holes[t]].mean() < 0.03
    # and the guess does not flicker: the fill is a piece of the same picture in the next frame
    H = np.linalg.inv(homography_to_wall(camera, t + 1)) @ homography_to_wall(camera, t)
    following = cv2.warpPerspective(plates[t + 1], H, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = cv2.erode(holes[t].astype(np.uint8), np.ones((7, 7))) > 0
    assert np.abs(following.astype(float) - plates[t])[inside].mean() < 12


def test_exposure_changes_are_followed():
    case = make("static", gain=lambda t: 1 + 0.1 * np.sin(t / 3))
    plates, _, holes = paint(case)
    assert psnr_in(plates, case.truth, holes) > 30


def test_run_writes_the_take(tmp_path):
    case = make("rotation")
    case.shot.width -= 1  # odd sizes are legal
    frames = SimpleNamespace(read=lambda i: np.ascontiguousarray(case.seen[i][:, :-1]))
    report = Reporter()
    numbers = plate.run(
        case.shot, frames, lambda i: np.ascontiguousarray(case.mask[i][:, :-1]), None, case.slam, tmp_path, report
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plate"]
    assert len(list((tmp_path / "plate").glob("*.png"))) == FRAMES
    assert len(list((tmp_path / "plate" / "unseen").glob("*.png"))) == FRAMES
    picture = cv2.imread(str(tmp_path / "plate" / "000003.png"))[..., ::-1]
    assert psnr_in([picture], [case.truth[3][:, :-1]], [np.ones((HEIGHT, WIDTH - 1), bool)]) > 35
    with av.open(str(tmp_path / "plate" / "plate.mp4")) as movie:
        decoded = [f.to_ndarray(format="rgb24") for f in movie.decode(video=0)]
    assert len(decoded) == FRAMES and decoded[0].shape == (HEIGHT, WIDTH, 3)
    assert abs(decoded[5][:, :-1].mean((0, 1)) - case.truth[5][:, :-1].mean((0, 1))).max() < 3  # colours stay
    assert numbers["unseen_share"] < 0.002 and 0.02 < numbers["hidden_share"] < 0.3


def test_memory_window_is_bounded_and_carries_the_past():
    """With room for few frames only, what was seen long ago still is not a guess."""
    case = make("static")
    for t in range(4, FRAMES):  # the person walks in, then stands
        case.mask[t][:] = case.mask[4]
        case.seen[t][:] = np.where(case.mask[4][..., None] > 0, (255, 0, 255), case.truth[t])
    painter = plate.Painter(case.shot, case.frames, Erase(case.masks, 4), "static", None, case.slam, memory_bytes=1)
    assert painter.window.slots == 9
    for i in range(FRAMES):
        picture, unseen = painter.paint(i)
    assert (unseen > 127).mean() < 0.002
    assert psnr_in([picture], [case.truth[-1]], [painter.window.hole(FRAMES - 1)]) > 30


def test_people_everywhere_leave_a_guess_not_a_crash():
    case = make("full", slam=None)
    everywhere = Erase(lambda i: np.ones((HEIGHT, WIDTH), np.uint8), 4)
    painter = plate.Painter(case.shot, case.frames, everywhere, "full", None, None)
    for i in range(3):
        picture, unseen = painter.paint(i)
        assert picture.shape == (HEIGHT, WIDTH, 3) and (unseen == 255).all()


def test_push_pull_keeps_samples_and_interpolates_between():
    values = np.tile(np.linspace(0, 100, 64, dtype=np.float32), (48, 1))
    weights = np.ones((48, 64), np.float32)
    weights[10:30, 20:40] = 0
    out = push_pull(np.where(weights > 0, values, 999), weights)
    assert np.array_equal(out[weights > 0], values[weights > 0])
    assert np.abs(out - values).max() < 12


def test_guess_continues_a_pattern():
    """Stripes go on through the hole; a smooth fill would turn them grey."""
    stripes = np.tile((np.arange(120) // 6 % 2 * 150 + 50).astype(np.float32)[None, :, None], (90, 1, 3))
    missing = np.zeros((90, 120), bool)
    missing[30:60, 45:75] = True
    out = complete(np.where(missing[..., None], 0, stripes), missing, ~missing)
    assert np.abs(out - stripes)[missing].mean() < 25
    assert np.array_equal(out[~missing], stripes[~missing])


def test_who_passes_behind_somebody_is_removed_though_no_mask_shows_them(monkeypatch):
    from solver.pipeline import Run

    run = Run.__new__(Run)
    run.backend = run.masks = None
    run.take, run.options, run.report = SimpleNamespace(folder=None), SimpleNamespace(quality="final", inpainter=None), None
    mask, solved = np.zeros((2, 4), np.uint8), np.zeros((2, 4), np.uint8)
    mask[0, :2] = 1
    solved[0, 1:], solved[1, :] = 7, 1  # person 7 shows beside person 1, whose body is drawn wider than its mask
    run.mask, run.solved = (lambda index: mask.copy()), (lambda index: solved.copy())
    run.labels = np.array([[0, 1, 7]] * 2)
    visible = np.array([[True, True], [True, True]])
    camera = Camera(np.eye(4)[None].repeat(2, 0), np.eye(3)[None].repeat(2, 0))
    world = SimpleNamespace(camera=camera, people=SimpleNamespace(ids=np.array([1, 7]), visible=visible), points_world=None)
    tracks = SimpleNamespace(ids=np.array([1, 7]), visible=np.array([[True, True], [True, False]]))
    monkeypatch.setattr("solver.plate.run", lambda shot, frames, masks, *rest: masks)
    shot = SimpleNamespace(frames=2, fresh=np.ones(2, bool))
    model = SimpleNamespace(faces=SimpleNamespace(numpy=lambda: None))
    monkeypatch.setattr("solver.world.world.posed", lambda *_: (None, None, None))
    monkeypatch.setattr("solver.track.backend.Embedded", lambda: SimpleNamespace(detect=None))
    masks = run._plate(shot, None, tracks, None, world, model)
    assert masks(1).tolist() == [[1, 1, 7, 7], [1, 1, 1, 1]]
    shot.fresh[1] = False  # the second frame shows the first picture: its people are where they are there
    solved[:] = 0
    assert (run._plate(shot, None, tracks, None, world, model)(1) == mask).all()


def test_the_detectors_and_bridged_bodies_tell_who_is_in_no_mask(monkeypatch):
    """Person 1 has a mask; 2 was seen and has none; 3 is bridged between two sightings; 4 has gone; number 4 of *seen* was left out, 5 became nobody."""
    from solver.pipeline import Run
    from solver.records import Seen

    run = Run.__new__(Run)
    run.backend = run.masks = None
    listed = [{"seen": n, "chosen": n != 4, "person": person} for n, person in ((1, 1), (2, 2), (4, None), (5, None))]
    run.take = SimpleNamespace(folder=None, read_seen=lambda: listed)
    run.options, run.report, run.labels = SimpleNamespace(quality="final", inpainter=None), Reporter(), np.tile(np.arange(6), (3, 1))
    mask = np.zeros((90, 160), np.uint8)
    mask[:20, :10] = 1
    run.mask = run.solved = lambda index: mask.copy()
    camera = Camera(np.eye(4)[None].repeat(3, 0), np.array([[100.0, 0, 80], [0, 100, 45], [0, 0, 1]])[None].repeat(3, 0))
    visible = np.array([[1, 1, 1], [1, 0, 0], [1, 0, 1], [1, 0, 0]], bool)
    world = SimpleNamespace(camera=camera, people=SimpleNamespace(ids=np.array([1, 2, 3, 4]), visible=visible), points_world=None)
    monkeypatch.setattr("solver.world.world.posed", lambda *_: (None, None, lambda p, index: np.array([[-0.1, -0.2, 2], [0.1, 0.2, 2], [0, 0, -1.0]])))
    monkeypatch.setattr("solver.track.backend.Embedded", lambda: None)
    monkeypatch.setattr("solver.track.lost.remains", lambda *_: {})
    monkeypatch.setattr("solver.plate.run", lambda *given: given)
    boxes = np.array([[0, 0, 10, 20], [100, 0, 120, 40], [50, 0, 60, 20], [70, 50, 80, 70]], float)
    seen = Seen(np.arange(3), boxes, np.ones(4), np.ones(4, int), np.array([1, 2, 4, 5]), np.zeros((3, 2, 3)), np.ones(5), np.zeros(5, int))
    model = SimpleNamespace(faces=SimpleNamespace(numpy=lambda: None))
    *_, known, left_out, _ = run._plate(SimpleNamespace(frames=3, fresh=np.ones(3, bool)), None, SimpleNamespace(ids=np.arange(1, 5)), None, world, model, seen)
    assert {s.person: np.round(s.box).tolist() for s in known(1)} == {2: [96, -4, 124, 44], 0: [68, 48, 82, 72], 3: [73, 33, 87, 57]}
    assert np.array_equal(left_out(1), boxes[2:3]) and known(0) == [] and len(left_out(0)) == 0


def test_who_is_looked_for_is_somebody_to_the_detectors_and_to_the_joints_net():
    from solver.track import look
    from solver.track.backend import Pose

    class Nets:
        def detect(self, rgb):
            return np.array([[0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20]], float), np.array([0.9, 0.8, 0.7])

        def pose(self, rgb, box, turns=(0.0,)):
            """The first stands, the second hangs upside down, the third is a coat."""
            return Pose(np.full((17, 3), 0.8 if box[0] == 0 or (box[0] == 20 and len(turns) > 1) else 0.1))

    boxes, scores = look.people(Nets(), np.zeros((60, 80, 3), np.uint8))
    assert boxes[:, 0].tolist() == [0, 20] and scores.tolist() == [0.9, 0.8]


class Outdoors:
    """A textured ground z = 0 under a sun, seen by a camera; people are boxes that walk over it, and have shadows."""

    towards = np.array([0.5, -0.45, 0.74]) / np.linalg.norm([0.5, -0.45, 0.74])
    shade = np.array([0.3, 0.36, 0.45])

    def __init__(self, moves=True, count=16, two=False):
        self.count, self.size = count, (240, 136)
        self.shot = SimpleNamespace(frames=count, width=240, height=136, fps="24/1")
        eye, forward = np.array([0.0, -5.0, 2.2]), np.array([0.0, 5.0, -1.9])
        forward /= np.linalg.norm(forward)
        right = np.array([1.0, 0, 0])
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), eye
        K = np.array([[230.0, 0, 120], [0, 230, 68], [0, 0, 1]])
        self.camera = Camera(np.tile(T, (count, 1, 1)), np.tile(K, (count, 1, 1)))
        corners = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.15, 0.15) for z in np.linspace(0, 1.75, 30)])
        rng = np.random.default_rng(1)
        self.fill = np.c_[rng.uniform(-0.2, 0.2, 900), rng.uniform(-0.15, 0.15, 900), rng.uniform(0, 1.75, 900)]
        self.fill = np.concatenate([corners, self.fill])
        self.faces = np.array(
            [
                [0, 1, 3],
                [0, 3, 2],
                [4, 6, 7],
                [4, 7, 5],
                [0, 4, 5],
                [0, 5, 1],
                [2, 3, 7],
                [2, 7, 6],
                [0, 2, 6],
                [0, 6, 4],
                [1, 5, 7],
                [1, 7, 3],
            ]
        )
        self.box = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (-0.15, 0.15) for z in (0, 1.75)])
        steps = np.linspace(-1.3, 1.3, count) if moves else np.zeros(count)
        self.paths = [np.c_[steps, 0.4 + 0 * steps, 0 * steps]]
        if two:
            self.paths.append(np.c_[-steps, 1.4 + 0 * steps, 0 * steps])
        ground = texture(136, 240).astype(np.float32)
        self.truth = np.clip(ground * 0.8 + 30, 0, 255).astype(np.uint8)
        shift = -self.towards[:2] / self.towards[2]
        self.true = lights.Light(tuple(shift), tuple(self.shade), 1.0, 0.0)
        self.drawn = Shadows(self.true, self.bodies, self.camera, *self.size)

    def bodies(self, index):
        return [self.box + p[index] for p in self.paths], list(range(1, len(self.paths) + 1)), self.faces

    def masks(self, index):
        from solver.raster import instance_mask

        v, ids, faces = self.bodies(index)
        return instance_mask(v, faces, ids, self.camera.T_world_from_cam[index], self.camera.K[index], *self.size)

    def read(self, index):
        share = np.where(self.drawn(index)[..., None] > 0, self.shade, 1.0)
        picture = np.round(lights.encoded(lights.linear(self.truth) * share)).astype(np.uint8)
        picture[self.masks(index) > 0] = (255, 0, 255)
        return picture

    def points(self, index):
        return [self.fill + p[index] for p in self.paths]


def angle(a, b):
    return np.rad2deg(np.arccos(np.clip(a @ b, -1, 1)))


@pytest.mark.parametrize("two", [False, True])
def test_light_is_found_from_the_shadows_of_people(two):
    scene = Outdoors(two=two)
    light = lights.estimate(scene.read, scene.masks, scene.camera, scene.points, scene.count, 3)
    assert angle(light.towards, scene.towards) < 4
    assert np.abs(np.array(light.shade) - scene.shade).max() < 0.12
    assert light.sure > lights.LEAST


def test_light_is_not_claimed_where_nobody_casts_a_shadow():
    scene = Outdoors()
    scene.shade = np.ones(3)
    light = lights.estimate(scene.read, scene.masks, scene.camera, scene.points, scene.count, 3)
    assert light is None or light.sure < lights.LEAST


def test_shadows_go_with_the_people_and_are_theirs(tmp_path):
    scene = Outdoors(two=True)
    slam = slam_of("static", scene.camera)
    frames = SimpleNamespace(read=scene.read)

    def bodies(index):  # points for the light, triangles for the picture
        return scene.bodies(index)

    erase = Erase(scene.masks, 4, Shadows(scene.true, bodies, scene.camera, *scene.size))
    painter = plate.Painter(scene.shot, frames, erase, "static", None, slam, scene.true)
    results = [painter.paint(i) for i in range(scene.count)]
    shadow = [(scene.drawn(i) > 0) & (scene.masks(i) == 0) for i in range(scene.count)]
    with_shadows = [scene.read(i) for i in range(scene.count)]
    assert psnr_in(with_shadows, [scene.truth] * scene.count, shadow) < 17
    assert psnr_in([r[0] for r in results], [scene.truth] * scene.count, shadow) > 30
    owners = erase.owners(8)
    for person in (1, 2):
        mine = (scene.drawn(8) == person) & (scene.masks(8) == 0) & (nearest_owner(scene.masks(8), 4) == 0)
        assert mine.sum() > 50 and (owners[mine] == person).all()


def test_ground_that_is_always_in_shadow_is_lit_again():
    scene = Outdoors(moves=False)
    erase = Erase(scene.masks, 4, scene.drawn)
    painter = plate.Painter(
        scene.shot, SimpleNamespace(read=scene.read), erase, "static", None, slam_of("static", scene.camera), scene.true
    )
    picture, unseen = painter.paint(0)
    shadow = (scene.drawn(0) > 0) & (nearest_owner(scene.masks(0), 4) == 0)
    inner = cv2.erode(shadow.astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 60 and (unseen[inner] == RELIT).all()
    assert psnr_in([picture], [scene.truth], [inner]) > 28


class BeforeAWall(Outdoors):
    """The same people a little before a wall, on which the upper part of their shadows falls; drawn by rays to the sun."""

    wall_y = 1.0

    def __init__(self, **more):
        super().__init__(**more)
        rng = np.random.default_rng(4)
        T, K = self.camera.T_world_from_cam[0], self.camera.K[0]
        x, y = np.meshgrid(np.arange(self.size[0]) + 0.5, np.arange(self.size[1]) + 0.5)
        rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1) @ T[:3, :3].T
        with np.errstate(divide="ignore"):
            ground, wall = -T[2, 3] / rays[..., 2], (self.wall_y - T[1, 3]) / rays[..., 1]
        self.on_wall = (wall < np.where(ground > 0, ground, np.inf))
        self.place = T[:3, 3] + rays * np.where(self.on_wall, wall, ground)[..., None]
        spots = np.c_[rng.uniform(-2.5, 2.5, 500), np.full(500, self.wall_y), rng.uniform(0, 2.4, 500)]
        floor = np.c_[rng.uniform(-2, 2, 400), rng.uniform(-2, self.wall_y, 400), np.zeros(400)]
        away = np.linalg.norm(np.concatenate([spots, floor]) - T[:3, 3], axis=1, keepdims=True)
        self.solved = np.concatenate([spots, floor]) + rng.normal(size=(900, 3)) * 0.003 * away
        self.dark = [self._dark(index) for index in range(self.count)]

    def _dark(self, index):
        """(H, W) bool: what the sun does not reach."""
        out = np.zeros(self.on_wall.shape, bool)
        for path in self.paths:
            low, high = self.box.min(0) + path[index], self.box.max(0) + path[index]
            near, far = ((edge - self.place) / self.towards for edge in (low, high))
            first, last = np.minimum(near, far).max(-1), np.maximum(near, far).min(-1)
            out |= (first < last) & (last > 0)
        return out

    def read(self, index):
        share = np.where(self.dark[index][..., None], self.shade, 1.0)
        picture = np.round(lights.encoded(lights.linear(self.truth) * share)).astype(np.uint8)
        picture[self.masks(index) > 0] = PINK
        return picture


def test_a_wall_is_found_in_the_solved_points():
    scene = BeforeAWall()
    (wall,) = walls.find(scene.solved, scene.camera.T_world_from_cam[:, :3, 3])
    assert angle(wall.normal, np.array([0, -1.0, 0])) < 1 and abs(-wall.offset - scene.wall_y) < 0.03
    assert np.abs(wall.corners[:, 1] - scene.wall_y).max() < 0.1 and wall.corners[:, 2].min() < 0.01 and 2 < wall.corners[:, 2].max() < 2.6
    T, K = scene.camera.T_world_from_cam[0], scene.camera.K[0]
    seen = walls.seen([wall], T, K, *scene.size) > 0
    high = scene.on_wall & (scene.place[..., 2] < 2.2) & (np.abs(scene.place[..., 0]) < 2.2)
    assert seen[high].mean() > 0.98 and seen[~scene.on_wall].mean() < 0.02
    behind = T.copy()
    behind[1, 3] = 5.0  # past the wall, which is then behind the camera
    assert not walls.seen([wall], behind, K, *scene.size).any()
    rng = np.random.default_rng(0)
    assert walls.find(rng.uniform((-2, -2, 0), (2, 2, 2), (600, 3)), np.array([[0, -5.0, 2]])) == []  # leaves of a tree stand on no wall
    eye = scene.camera.T_world_from_cam[0, :3, 3]
    beyond = eye + 1.2 * (scene.solved[:500] - eye)
    assert walls.find(np.concatenate([scene.solved, beyond]), eye[None])[0].offset < -1.5  # what is seen through it is the wall, and a net before it is none
    behind = np.tile([[0.0, 4, 1]], (5, 1))
    assert walls.find(scene.solved, eye[None], (behind, np.tile(eye, (5, 1)))) == []  # people are seen through it
    assert len(walls.find(scene.solved, eye[None], (behind - [0, 3.5, 0], np.tile(eye, (5, 1))))) == 1
    assert walls.find(scene.solved[500:], scene.camera.T_world_from_cam[:, :3, 3]) == []  # the ground is none


def test_shadows_on_a_wall_go_with_the_people(tmp_path):
    scene = BeforeAWall()
    upright = walls.find(scene.solved, scene.camera.T_world_from_cam[:, :3, 3])
    people = [nearest_owner(scene.masks(i), 4) > 0 for i in range(scene.count)]
    shade = [scene.dark[i] & scene.on_wall & ~p for i, p in enumerate(people)]
    assert min(s.sum() for s in shade[4:-4]) > 60
    found = {}
    for name, some in (("ground", []), ("walls", upright)):
        shadows = Shadows(scene.true, scene.bodies, scene.camera, *scene.size, some)
        painter = plate.Painter(
            scene.shot, SimpleNamespace(read=scene.read), Erase(scene.masks, 4, shadows, shadows.on_walls if some else None), "static", None,
            slam_of("static", scene.camera), scene.true,
        )  # fmt: skip
        found[name] = [painter.paint(i)[0] for i in range(scene.count)]
        assert all((shadows(i)[shade[i]] == 1).mean() > (0.9 if some else -1) for i in range(4, 12))
    truth = [scene.truth] * scene.count
    assert psnr_in(found["walls"], truth, shade) > 30 and psnr_in(found["ground"], truth, shade) < 22


def test_a_wall_on_which_no_shadow_falls_is_not_believed_and_the_ground_still_is():
    scene = BeforeAWall()
    frames, slam = SimpleNamespace(read=scene.read), slam_of("static", scene.camera)
    shadows = Shadows(scene.true, scene.bodies, scene.camera, *scene.size, walls.find(scene.solved, scene.camera.T_world_from_cam[:, :3, 3]))
    for right in (True, False):
        _, found, on_ground, on_walls, _ = belongs.extended(scene.shot, frames, scene.masks, shadows, "static", scene.camera, slam)
        assert on_ground and on_walls == right and ((found(8) > 0) & scene.on_wall & (scene.place[..., 2] > 0.3)).any() == right
        scene.dark = [dark & ~scene.on_wall for dark in scene.dark]


PINK, BLUE = (255, 0, 255), (20, 40, 250)


def two_cross(lost, start=85, pace=3):
    """Two people before a wall, a pink one who crosses and a blue one who goes more slowly; frames in `lost` have no mask of the blue one.

    Returns what `make` does, and where the blue one is; and a detector that sees people of these colours, as far as they are not painted out."""
    case = make("static")
    seconds = []
    for t in range(FRAMES):
        second = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(second, (start + pace * t, 100), (11, 26), 0, 0, 360, 1, -1)
        seconds.append((second > 0) & (case.mask[t] == 0))
        case.seen[t][seconds[t]] = BLUE
        if t not in lost:
            case.mask[t][seconds[t]] = 2

    def detect(picture):
        boxes = []
        for colour in (PINK, BLUE):
            one = (np.abs(picture.astype(int) - colour) < 40).all(-1)
            if one.sum() > 150:
                ys, xs = np.nonzero(one)
                boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        return np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9)

    return case, seconds, detect


def painted(folder, case, detect, thorough, **more):
    facts = plate.run(case.shot, case.frames, case.masks, None, case.slam, folder, Reporter(), detect=detect, thorough=thorough, **more)
    pictures = [cv2.imread(str(folder / "plate" / f"{t:06d}.png"))[..., ::-1] for t in range(FRAMES)]
    assert json.loads((folder / "plate" / "plate.json").read_text()) == facts
    return facts, pictures


def blue_in(picture, where):
    return (np.abs(picture.astype(int) - BLUE) < 60).all(-1) & where


LOST = range(5, 15)


def test_who_is_in_no_mask_does_not_leak_into_other_frames_and_is_reported(tmp_path):
    """In a preview nothing is looked for about people: whom no mask has stays, whole, where they are, nowhere else, and those frames are named."""
    case, seconds, detect = two_cross(LOST)
    blind, leaky = painted(tmp_path / "blind", case, None, False)
    facts, pictures = painted(tmp_path / "looked", case, detect, False)
    holes = [plate_holes > 0 for plate_holes in (nearest_owner(case.mask[t], 4) for t in range(FRAMES))]
    apart = [h & (cv2.dilate(s.astype(np.uint8), np.ones((5, 5))) == 0) for h, s in zip(holes, seconds)]
    leaks = [sum(blue_in(p[t], apart[t]).sum() for t in range(FRAMES)) for p in (leaky, pictures)]
    assert leaks[0] > 200 and leaks[1] == 0
    assert facts["in_no_mask"] == list(LOST) and facts["looked_at"] == 5
    assert facts["somebody_left"] == [8, 12] and blind["somebody_left"] == []
    assert psnr_in(pictures, case.truth, apart) > 30


def test_who_was_lost_for_a_while_is_found_again_by_the_background_and_erased_as_themselves(tmp_path):
    case, seconds, detect = two_cross(LOST, 70, 5)  # all of the wall is seen at some time
    facts, pictures = painted(tmp_path, case, detect, True)
    assert facts["somebody_left"] == [] and facts["in_no_mask"] == list(LOST)
    for t in LOST:
        assert psnr_in([pictures[t]], [case.truth[t]], [seconds[t]]) > 25
        owner = read_mask(tmp_path / "plate" / "erase" / f"{t:06d}.png")
        assert (owner[seconds[t]] == 2).mean() > 0.9 and not (owner[case.mask[t] == 1] == 2).any()


def test_people_who_are_left_out_stay_and_turn_no_light_red_unless_they_are_torn(tmp_path):
    case, seconds, detect = two_cross(range(FRAMES))
    boxes = [[[x.min(), y.min(), x.max() + 1, y.max() + 1]] for y, x in map(np.nonzero, seconds)]
    facts, pictures = painted(tmp_path, case, detect, False, left_out=lambda index: np.array(boxes[index], float))
    assert facts["in_no_mask"] == []
    assert all((pictures[t][seconds[t] & (nearest_owner(case.mask[t], 4) == 0)] == BLUE).all() for t in range(FRAMES))
    assert not set(facts["somebody_left"]) & {0, 16}  # there the two are apart
    facts, _ = painted(tmp_path, case, detect, False)
    assert facts["somebody_left"] == [0, 4, 8, 12, 16]


def _two_planes():
    """A camera that goes sideways before a floor and a wall: Registration, and world points (N, 3), floor first."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-3, 3, 400)
    floor = np.stack([x[:200], np.full(200, 1.5), rng.uniform(3, 8, 200)], 1)
    wall = np.stack([x[200:], rng.uniform(-2, 1.5, 200), np.full(200, 8.0)], 1)
    points = np.concatenate([floor, wall])
    T = np.tile(np.eye(4), (2, 1, 1))
    T[1, 0, 3] = 0.7
    K = np.tile(np.array([[300, 0, 160], [0, 300, 90], [0, 0, 1.0]]), (2, 1, 1))
    seen = np.repeat([0, 1], 400)
    xy = np.concatenate([project(points, np.linalg.inv(t), k) for t, k in zip(T, K)])
    camera = SimpleNamespace(T_world_from_cam=T, K=K)
    slam = SimpleNamespace(
        camera=camera, points_world=points, obs_frame=seen, obs_point=np.tile(np.arange(400), 2), obs_xy=xy
    )
    window = SimpleNamespace(count=2, width=320, height=180)
    return Registration(window, "full", camera, slam), xy.reshape(2, 400, 2)


def test_floor_and_wall_are_carried_over_on_planes_of_their_own():
    registration, xy = _two_planes()
    planes, _ = registration.planes(0, (-1000, -1000, 2000, 2000))
    assert len(planes) >= 2
    at = np.concatenate([xy[0] - 0.5, np.ones((400, 1))], 1)
    off = []
    for plane in planes[:2]:
        there = at @ registration.over_plane(0, 1, plane).T
        off.append(np.linalg.norm(there[:, :2] / there[:, 2:] + 0.5 - xy[1], axis=1))
    one, other = (0, 1) if np.median(off[0][:200]) < np.median(off[1][:200]) else (1, 0)
    assert off[one][:200].max() < 0.1 and off[other][200:].max() < 0.1
    assert np.median(off[one][200:]) > 1  # one plane does not do for both


def test_each_pixel_takes_the_plane_on_which_sources_agree():
    rng = np.random.default_rng(2)
    truth = cv2.GaussianBlur(rng.uniform(0, 255, (90, 120, 3)), (0, 0), 2).astype(np.float32)
    truth = (truth - truth.mean()) * 4 + 128
    hole = np.zeros((90, 120), bool)
    hole[20:70, 30:90] = True
    gray = cv2.cvtColor(np.clip(truth, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    valid = np.ones(hole.shape, bool)

    def sweep(right):
        """Sources that agree where `right`, and are shifted by different amounts elsewhere."""
        return [(np.where(right, gray, np.roll(gray, s, 1)), valid) for s in (4, 9, 15)]

    left = np.tile(np.arange(120) < 60, (90, 1))
    chosen = choose_plane(gray, ~hole, [sweep(left), sweep(~left)])
    clear = np.abs(np.arange(120) - 60) > 8
    assert ((chosen == 0) == left)[:, clear].all()


@pytest.mark.parametrize("sigma", [0.0, 0.7, 1.5, 3.0])
def test_blur_of_outlines_is_read_among_textures(sigma):
    """Somebody bright before a dark wall whose texture nearly reaches their brightness, drawn four times as fine and averaged down."""
    random = np.random.default_rng(1)
    yy, xx = np.mgrid[:960, :1280]
    person = ((xx - 640) / 200) ** 2 + ((yy - 480) / 380) ** 2 < 1
    texture = np.kron(random.uniform(0, 60, (60, 80)), np.ones((16, 16)))
    fine = np.where(person, 200 + 0.3 * texture, 40 + texture).astype(np.float32)
    gray = cv2.resize(fine, (320, 240), interpolation=cv2.INTER_AREA)
    gray = cv2.GaussianBlur(gray, (0, 0), np.hypot(sigma, 0.45))  # a renderer's own filter
    people = cv2.resize(person.astype(np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
    assert edge_softness(gray, people) == pytest.approx(sigma, abs=0.35 + 0.1 * sigma)
    assert np.isnan(edge_softness(gray, np.zeros_like(people)))


@pytest.mark.parametrize("verdict", ["static", "rotation"])
def test_a_leg_that_no_mask_has_belongs_to_the_person(verdict):
    """Somebody walks past a wall; the masks have the trunk alone. A bag that stands there from the first to the last frame stays where it is."""
    wide = texture(HEIGHT, 2 * WIDTH, 3)
    wide[90:110, 150:170] = (250, 20, 20)
    frames, masks, legs = [], [], []
    camera = camera_of(verdict)
    for t in range(FRAMES):
        T, K = camera.T_world_from_cam[t], camera.K[0]
        H = K @ T[:3, :3].T @ np.linalg.inv(K)
        back = H @ np.array([[1, 0, -WIDTH / 4], [0, 1, 0], [0, 0, 1.0]])
        frame = cv2.warpPerspective(wide, back, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        x = 15 + 10 * t
        mask, leg = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), bool)
        mask[8:80, x : x + 20] = 1
        leg[80:105, x + 4 : x + 13] = True
        frame[(mask > 0) | leg] = (10, 20, 60)
        frames.append(frame), masks.append(mask), legs.append(leg)
    shot = SimpleNamespace(frames=FRAMES, width=WIDTH, height=HEIGHT, fps="24")
    source = SimpleNamespace(read=lambda i: frames[i])
    found, *_ = belongs.extended(shot, source, lambda i: masks[i], None, verdict, camera, None)
    hit = np.array([(found(t)[legs[t]] == 1).mean() for t in range(FRAMES)])
    beside = np.array([((found(t) > 0) & (masks[t] == 0) & (cv2.dilate(legs[t].astype(np.uint8), np.ones((7, 7))) == 0)).sum() for t in range(FRAMES)])
    assert np.median(hit) > 0.9 and (beside <= 0.1 * legs[0].sum()).all()


def test_ground_in_the_light_is_not_lit_again():
    """A shadow that was thought to lie where it does not: what would come out brighter than all around stays as filmed."""
    rgb = np.full((80, 120, 3), 150, np.uint8)
    rgb[30:50, 30:60] = 80
    where = np.zeros((80, 120), bool)
    where[30:50, 30:90] = True
    painter = plate.Painter.__new__(plate.Painter)
    painter._light = SimpleNamespace(shade=(0.3, 0.3, 0.3))
    painter._erase = SimpleNamespace(only_darker=lambda index: (where, where.astype(np.float32)))
    painter.window = SimpleNamespace(rgb=lambda index: rgb, hole=lambda index: where, smaller=lambda picture: picture)
    picture, _ = painter._relit(0)
    assert np.abs(picture[35:45, 65:85] - 150).max() < 2
    assert picture[35:45, 35:55].min() > 120


def _program(tmp_path, text):
    """Command of a Python program, as docs/inpainters.md has them."""
    file = tmp_path / "paint it.py"
    file.write_text(f"import sys\nfrom pathlib import Path\nframes, masks, out = map(Path, sys.argv[1:])\n{text}\n")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


GREEN = """
import cv2
for path in sorted(frames.iterdir()):
    picture, mask = cv2.imread(str(path)), cv2.imread(str(masks / path.name), 0)
    picture[:] = (0, 255, 0)
    cv2.imwrite(str(out / path.name), picture)
"""


def test_an_inpainter_of_the_artists_paints_what_no_frame_shows_and_nothing_else(tmp_path):
    case = make("static", stays=True)
    plate.run(case.shot, case.frames, case.masks, None, case.slam, tmp_path / "without", Reporter())
    report = Reporter()
    facts = plate.run(case.shot, case.frames, case.masks, None, case.slam, tmp_path, report, inpainter=_program(tmp_path, GREEN))
    assert facts["inpainted"] and not report.warnings
    for index in range(FRAMES):
        name = f"{index:06d}.png"
        picture, before = (cv2.imread(str(folder / "plate" / name))[..., ::-1] for folder in (tmp_path, tmp_path / "without"))
        guessed = cv2.imread(str(tmp_path / "plate" / "unseen" / name), 0) > 127
        assert guessed.any() and (picture[guessed] == (0, 255, 0)).all()
        assert np.array_equal(picture[~guessed], before[~guessed])
    with av.open(str(tmp_path / "plate" / "plate.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == FRAMES
    assert not list((tmp_path / "plate").glob("inpaint*"))


def test_the_inpainter_of_the_documentation_works(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "inpainters.md").read_text(encoding="utf-8")
    (tmp_path / "paint.py").write_text(text.split("```python\n")[1].split("```")[0])
    case = make("static", stays=True)
    report = Reporter()
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'paint.py'))}"
    assert plate.run(case.shot, case.frames, case.masks, None, case.slam, tmp_path, report, inpainter=command)["inpainted"] and not report.warnings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sys.exit('no such net')", "failed with status 1: no such net"),
        ("(out / '000000.png').touch()", f"left 1 files of {FRAMES}"),
        (GREEN.replace("cv2.imwrite(", "picture = picture[::2]; cv2.imwrite("), f"000000.png is {WIDTH}x{HEIGHT // 2}, not {WIDTH}x{HEIGHT}"),
    ],
)
def test_an_inpainter_that_fails_leaves_the_guess_and_a_warning(tmp_path, text, said):
    case = make("static", stays=True)
    report = Reporter()
    facts = plate.run(case.shot, case.frames, case.masks, None, case.slam, tmp_path, report, inpainter=_program(tmp_path, text))
    assert not facts["inpainted"] and said in report.warnings[0] and "\n" not in report.warnings[0]
    assert not (cv2.imread(str(tmp_path / "plate" / "000003.png")) == (0, 255, 0)).all(-1).any()
    assert not list((tmp_path / "plate").glob("inpaint*"))


def test_stopping_ends_the_inpainter(tmp_path):
    case = make("static", stays=True)
    plate.run(case.shot, case.frames, case.masks, None, case.slam, tmp_path, Reporter())

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        inpaint(_program(tmp_path, "import time; (out.parent.parent / 'began').touch(); time.sleep(60)"), tmp_path / "plate", FRAMES, stop)
    assert not list((tmp_path / "plate").glob("inpaint*"))


def test_a_program_that_is_not_there_is_said_before_anything_runs():
    with pytest.raises(ShotError, match="'no_such_program' was not found"):
        parts("no_such_program --fast")
    with pytest.raises(ShotError, match="cannot be read"):
        parts("program 'open")


@pytest.mark.parametrize("verdict", ["static", "full"])
def test_large_films_are_compared_small_and_filled_from_their_own_pixels(monkeypatch, verdict):
    """The smaller size has a third of the lines; detail that it cannot hold comes back."""
    case = make(verdict)
    monkeypatch.setattr(plate.paint, "WORK_LINES", -(-HEIGHT // 3))
    painter = plate.Painter(case.shot, case.frames, Erase(case.masks, 4), verdict, None, case.slam)
    assert painter.window.width * 3 == WIDTH
    plates, small, holes = [], [], []
    for t in range(FRAMES):
        picture, unseen = painter.paint(t)
        assert picture.shape == (HEIGHT, WIDTH, 3) and (unseen > 127).mean() < 0.002
        hole = painter.window.owner(t) > 0
        assert np.array_equal(picture[~hole], case.seen[t][~hole])
        reduced = cv2.resize(case.truth[t], None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        plates.append(picture), holes.append(hole), small.append(cv2.resize(reduced, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    assert psnr_in(plates, case.truth, holes) > psnr_in(small, case.truth, holes) + 3


def test_shadows_that_no_light_foretells_are_found_and_false_ones_given_up():
    scene = Outdoors()
    slam = slam_of("static", scene.camera)
    shadow = [(scene.drawn(i) > 0) & (scene.masks(i) == 0) for i in range(scene.count)]
    frames = SimpleNamespace(read=scene.read)
    masks, shadows, right, *_ = belongs.extended(scene.shot, frames, scene.masks, None, "static", scene.camera, slam)
    found = [(masks(i) > 0) | (shadows(i) > 0) for i in range(scene.count)]
    assert right and np.mean([f[s].mean() for f, s in zip(found, shadow)]) > 0.7
    beside = [f & ~cv2.dilate((s | (scene.masks(i) > 0)).astype(np.uint8), np.ones((9, 9))).astype(bool) for i, (f, s) in enumerate(zip(found, shadow))]
    assert max(b.sum() for b in beside) < 0.1 * np.mean([s.sum() for s in shadow])
    wrong = Shadows(replace(scene.true, shift=(-0.9, -1.4)), scene.bodies, scene.camera, *scene.size)
    assert not belongs.extended(scene.shot, frames, scene.masks, wrong, "static", scene.camera, slam)[2]
    assert belongs.extended(scene.shot, frames, scene.masks, scene.drawn, "static", scene.camera, slam)[2]


@pytest.mark.parametrize("frames", [1, 2, 5, 6])
def test_short_films_have_a_plate(frames):
    case = make("static")
    case.shot.frames = frames
    painter = plate.Painter(case.shot, case.frames, Erase(case.masks, 4), "static", None, case.slam)
    plates = [painter.paint(i)[0] for i in range(frames)]
    for i, picture in enumerate(plates):
        hole = painter.window.owner(i) > 0
        assert hole.any() and not (picture[case.mask[i] > 0] == (255, 0, 255)).all(-1).any()
        assert np.array_equal(picture[~hole], case.seen[i][~hole])
