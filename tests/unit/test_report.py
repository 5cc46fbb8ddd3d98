"""The report card: numbers against cases made by hand, and the page and the preview of a small synthetic take."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from solver import report
from solver.body.model import BodyModel
from solver.frames import R_zup_from_yup, compose, intrinsics, invert, project
from solver.protocol import Reporter
from solver.raster import instance_mask
from solver.records import Camera, Film, People, Shot, Slam, Tracks, World
from solver.report import measure, pictures, preview
from solver.report.charts import line_chart, nice
from solver.report.lights import lights, verdict
from solver.skeleton import colour_of
from solver.take import Take
from solver.world.world import posed

FRAMES, WIDTH, HEIGHT = 6, 160, 90


# -- numbers


def test_silhouettes_by_hand():
    mask = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    solved = np.array([[0, 1, 1, 1], [0, 0, 1, 2]], np.uint8)
    s = measure.Silhouettes()
    s.add(mask, solved)
    result = s.result()
    assert result["pa"] == pytest.approx(100 * 6 / 8)
    # background 3/4, person 1 3/5, person 2 0/1
    assert result["iou"] == pytest.approx((3 / 4 + 3 / 5 + 0) / 3)
    assert result["iou_people"] == pytest.approx((3 / 5 + 0) / 2)


def test_silhouettes_mean_over_frames_and_skip_people_where_there_are_none():
    s = measure.Silhouettes()
    empty, one = np.zeros((2, 2), np.uint8), np.array([[1, 0], [0, 0]], np.uint8)
    s.add(empty, empty)
    s.add(one, one)
    s.add(one, empty)
    result = s.result()
    assert result["pa"] == pytest.approx(100 * 11 / 12)
    assert result["iou"] == pytest.approx((1 + 1 + (3 / 4 + 0) / 2) / 3)
    assert result["iou_people"] == pytest.approx(0.5)
    assert np.isnan(s.per_frame[0]) and s.per_frame[1:] == [1.0, 0.0]


def test_silhouettes_of_nothing():
    assert measure.Silhouettes().result() == {"pa": None, "iou": None, "iou_people": None}


def test_joint_error_is_weighted_and_ignores_the_unseen():
    camera = Camera(np.eye(4)[None], intrinsics(100.0, WIDTH, HEIGHT)[None])
    world = np.zeros((1, 1, 25, 3))
    world[..., 2] = 2.0
    detected = np.zeros((1, 1, 25, 3))
    detected[..., :2] = [WIDTH / 2, HEIGHT / 2]
    detected[0, 0, 0] = [WIDTH / 2 + 3, HEIGHT / 2 + 4, 1.0]  # 5 px off
    detected[0, 0, 1] = [WIDTH / 2 + 10, HEIGHT / 2, 0.5]  # 10 px off
    detected[0, 0, 2] = [999, 999, 0.0]  # unseen
    detected[0, 0, 20] = [999, 999, 1.0]  # a foot: not one of COCO's joints
    tracks = SimpleNamespace(keypoints_2d=detected)
    errors = measure.joint_error(world, camera, tracks, np.ones((1, 1), bool))
    assert measure.weighted_mean(errors) == pytest.approx((5 * 1 + 10 * 0.5) / 1.5)
    assert np.isnan(measure.weighted_mean(measure.joint_error(world, camera, tracks, np.zeros((1, 1), bool))))
    behind = measure.joint_error(-world, camera, tracks, np.ones((1, 1), bool))
    assert behind[..., 1].sum() == 0  # what lies behind the camera is not compared


def test_foot_slide_counts_standing_feet_only():
    keypoints = np.zeros((1, 4, 25, 3))
    keypoints[0, :, 17, 0] = [0, 0.01, 0.03, 0.5]  # left heel: 10 mm, 20 mm, then lifted
    keypoints[0, :, 17, 2] = [0, 0.2, 0.4, 0.6]  # height does not count
    keypoints[0, :, 18, 0] = [0, 1, 2, 3]  # right heel never stands
    contact = np.zeros((1, 4, 4))
    contact[0, :3, 0] = 1
    visible = np.ones((1, 4), bool)
    assert measure.foot_slide_mm(keypoints, contact, visible) == pytest.approx(15)
    assert measure.foot_slide_mm(keypoints, 0 * contact, visible) is None


def test_jitter_of_a_cubic_is_its_third_derivative():
    t = np.arange(12) / 30
    joints = np.zeros((1, 12, 24, 3))
    joints[..., 0] = (t**3)[None, :, None]
    assert measure.jitter(joints, np.ones((1, 12), bool), 30.0) == pytest.approx(0.6)  # 6 m/s^3
    assert measure.jitter(joints, np.zeros((1, 12), bool), 30.0) is None
    assert measure.jitter(joints[:, :3], np.ones((1, 3), bool), 30.0) is None


def test_camera_path_and_turn():
    T = compose(Rotation.from_euler("y", [[0], [30], [90]], degrees=True).as_matrix(), [[0, 0, 0], [3, 4, 0], [3, 4, 1]])
    camera = Camera(T, np.tile(np.eye(3), (3, 1, 1)))
    assert measure.path_length_m(camera) == pytest.approx(6)
    assert measure.turn_deg(camera) == pytest.approx(90)


def leaping(scale, fps=30.0, frames=60):
    """Joints (1, T, 24, 3) of somebody stiff, `scale` times as large as they are, who leaps 0.4 m high again and again."""
    rise = np.sqrt(2 * 0.4 * 9.81)
    t = np.arange(frames) / fps % (2 * rise / 9.81)
    body = np.random.default_rng(0).normal(size=(24, 3)) + [0, 5, 1]
    joints = np.broadcast_to(body, (1, frames, 24, 3)).copy()
    joints[0, :, :, 2] += (rise * t - 9.81 / 2 * t**2)[:, None]
    return scale * joints


def test_nobody_falls_faster_than_gravity_unless_they_are_smaller_than_they_were_solved():
    everywhere = np.ones((1, 60), bool)
    for scale in (1.0, 1.6):
        (speeds,) = measure.falls(leaping(scale), everywhere, 30.0)
        assert len(speeds) >= 3 and speeds[:3] == pytest.approx([scale] * 3, rel=1e-6) and speeds == sorted(speeds, reverse=True)
    assert measure.falls(leaping(1.0), everywhere & (np.arange(60) % 6 > 0), 30.0) == [[]]
    still = np.zeros((2, 60, 24, 3))
    assert measure.falls(still, np.ones((2, 60), bool), 30.0) == [[], []] and measure.falls(still[:, :3], np.ones((2, 3), bool), 30.0) == [[], []]


def test_who_falls_too_fast_is_told_their_height():
    fell = [{"person": who, "g": g, "height_m": 1.74, "height_by_gravity_m": 1.74 / g} for who, g in ((2, 1.7), (1, 1.5), (3, 1.05))]
    light = next(light for light in lights(numbers(world=numbers()["world"] | {"falls": fell})) if light.name == "Falls")
    assert light.colour == "red" and "1.7 × gravity" in light.value
    assert "person 2, taken for 1.74 m, about 1.0 m and person 1, taken for 1.74 m, about 1.2 m." in light.meaning and "person 3" not in light.meaning


# -- traffic lights


def numbers(**changes):
    out = {
        "joint_error_px_1920": {"final": 8.0},
        "iou_people": 0.8,
        "foot_slide_mm": 2.0,
        "jitter": 5.0,
        "camera": {
            "measured_share": 1.0, "focal_sigma": 0.02, "focal_source": "estimated", "focal_mm": 35.0, "movement": "full", "travel_margin": 0.4,
            "set_by": "tracks",
        },
        "plate": {"unseen_share_of_hidden": 0.0, "light": {"sure": 0.9, "elevation_deg": 40.0}, "looked_at": 4, "somebody_left": []},
        "world": {"sigma": {"size": 0.05}, "hidden_in_front": 0.0, "stairs": False, "float_m": 0.01, "sink_m": 0.0, "roll_deg": 1.0, "unseen_knees_deg": 20.0, "unseen_legs": 0.5,
                  "falls": [{"person": 2, "g": 0.95, "height_m": 1.74, "height_by_gravity_m": 1.74}]},
    }
    out.update(changes)
    return out


def test_a_plate_with_somebody_left_in_it_is_red_and_says_where():
    plate = {"unseen_share_of_hidden": 0.0, "light": None, "looked_at": 12, "somebody_left": [18, 24]}
    light = next(light for light in lights(numbers(plate=plate)) if light.name == "Clean plate")
    assert light.colour == "red" and "18, 24" in light.meaning and "2 of 12" in light.value
    plate = {**plate, "somebody_left": [], "somebody_lost": [9, 5, 6, 7]}
    light = next(light for light in lights(numbers(plate=plate)) if light.name == "Clean plate")
    assert light.colour == "red" and "5-7, 9 and may" in light.meaning and light.value == "somebody lost in 4 frames"


def test_no_green_over_a_plate_in_which_shadows_may_stay():
    plate = numbers()["plate"] | {"light": {"sure": 0.0, "elevation_deg": 20.0}}
    light = next(light for light in lights(numbers(plate=plate)) if light.name == "Clean plate")
    assert light.colour == "amber" and "shadows" in light.meaning


def test_lights():
    assert {light.colour for light in lights(numbers())} == {"green"}
    assert verdict(lights(numbers())) == ("green", "Ready to use.")
    card = lights(numbers(foot_slide_mm=9.0, iou_people=0.2, plate=None, jitter=None))
    colours = {light.name: light.colour for light in card}
    assert colours["Feet on the ground"] == "amber" and colours["Outlines agree"] == "red"
    assert colours["Clean plate"] == "grey" and colours["Light of the film"] == "grey" and colours["Smooth motion"] == "grey"
    assert verdict(card)[0] == "red" and "outlines agree" in verdict(card)[1]


@pytest.mark.parametrize(
    ("name", "change", "colour"),
    [
        ("Size of the world", {"sigma": {"size": 0.3}}, "red"), ("Size of the world", {"sigma": {}}, "grey"),
        ("Background behind people", {"hidden_in_front": 0.9}, "red"), ("Background behind people", {"hidden_in_front": None}, "grey"),
        ("People on the ground", {"float_m": 0.18}, "red"), ("People on the ground", {"sink_m": 0.09}, "amber"),
        ("Camera level", {"roll_deg": 9.0}, "red"), ("Unseen legs", {"unseen_knees_deg": 67.0}, "red"),
        ("Unseen legs", {"unseen_legs": 0.97}, "amber"), ("Unseen legs", {"unseen_legs": 0.97, "unseen_knees_deg": 67.0}, "red"),
        ("Falls", {"falls": [{"person": 2, "g": 1.3, "height_m": 1.7, "height_by_gravity_m": 1.3}]}, "amber"),
        ("Falls", {"falls": []}, "grey"), ("Falls", {"falls": [{"person": 2, "g": 0.6, "height_m": 1.7, "height_by_gravity_m": 1.7}]}, "grey"),
    ],
)  # fmt: skip
def test_no_green_over_a_wrong_world(name, change, colour):
    world = numbers()["world"] | change
    card = lights(numbers(world=world))
    assert next(light for light in card if light.name == name).colour == colour
    assert verdict(card)[0] == ("green" if colour == "grey" else colour)


def test_how_many_legs_nobody_sees():
    confidence = np.ones((1, 10, 24))
    confidence[0, 2:, 7:9] = 0.1
    assert measure.unseen_legs_share(confidence, np.ones((1, 10), bool)) == pytest.approx(0.8)
    assert measure.unseen_legs_share(confidence, np.zeros((1, 10), bool)) == 0


def test_who_floats_and_who_sinks_is_measured():
    keypoints = np.zeros((2, 10, 25, 3))
    keypoints[0, :, 17:21, 2] = 0.16
    keypoints[1, :3, 17:21, 2] = -0.08
    seen = np.ones((2, 10), bool)
    assert measure.standing_height_m(keypoints, seen) == pytest.approx((0.16, 0.08))
    assert measure.standing_height_m(keypoints, ~seen) == (None, None)


def test_who_stands_on_a_step_does_not_float():
    keypoints, contact = np.zeros((1, 10, 25, 3)), np.zeros((1, 10, 4))
    keypoints[:, 4:, 17:21, 2] = 0.3
    contact[:, :8] = 1
    steps = measure.on_steps(keypoints, contact)
    assert steps[0].tolist() == [False] * 4 + [True] * 4 + [False] * 2
    assert measure.standing_height_m(keypoints, ~steps)[0] == 0


def test_roll_is_the_angle_of_the_pictures_horizontal():
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # looking along +y
    turned = level @ Rotation.from_euler("z", 10, degrees=True).as_matrix()
    camera = Camera(compose(np.stack([level, turned]), np.zeros((2, 3))), np.tile(np.eye(3), (2, 1, 1)))
    assert measure.roll_deg(camera) == pytest.approx(5)


def test_knees_count_where_nobody_sees_the_ankle():
    pose, confidence = np.zeros((1, 4, 23, 3)), np.ones((1, 4, 24))
    pose[..., 3, 0] = np.deg2rad(70)
    confidence[0, :2, 7] = 0.1
    assert measure.unseen_knee_bend_deg(pose, confidence, np.ones((1, 4), bool)) == pytest.approx(70)
    assert measure.unseen_knee_bend_deg(pose, np.ones((1, 4, 24)), np.ones((1, 4), bool)) is None


@pytest.mark.parametrize(("source", "sigma", "colour"), [("given", 0.5, "green"), ("prior", 0.01, "red"), ("estimated", 0.15, "amber")])
def test_lens_light_knows_where_the_lens_comes_from(source, sigma, colour):
    camera = {"measured_share": 1.0, "focal_sigma": sigma, "focal_source": source, "focal_mm": 35.0}
    assert next(light for light in lights(numbers(camera=camera)) if light.name == "Lens known").colour == colour


@pytest.mark.parametrize(
    ("change", "colour"),
    [({"travel_margin": 0.02}, "amber"), ({"travel_margin": -0.2}, "amber"), ({"travel_margin": 0.02, "set_by": "artist"}, "green"), ({"travel_margin": 1.0}, "green"), ({"travel_margin": None}, "red")],
)  # fmt: skip
def test_a_kind_of_camera_that_is_hardly_known_is_no_green(change, colour):
    card = lights(numbers(camera=numbers()["camera"] | change))
    assert next(light for light in card if light.name == "Kind of camera").colour == colour


def test_nice_steps():
    assert [nice(v) for v in (0.7, 1, 1.1, 3, 60)] == [1, 1, 2, 5, 100]


def test_chart_lifts_the_pen_where_nothing_is_known():
    svg = line_chart([("a", np.array([1, 2, np.nan, 3, 4.0]), "after")], "frame", "y")
    path = re.search(r'class="after" fill="none" d="([^"]*)"', svg).group(1)
    assert path.count("M") == 2 and path.count("L") == 2
    assert line_chart([("a", np.full(5, np.nan), "after")], "frame", "y") == ""


# -- a small take


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    return make_take(tmp_path_factory.mktemp("take"), people=1)


def make_take(folder, people):
    """A person who walks in front of a camera that travels; the start camera drifts away from the true one."""
    model = BodyModel.load()
    orient = np.tile(Rotation.from_matrix(R_zup_from_yup).as_rotvec(), (people, FRAMES, 1))
    trans = np.tile([0.0, 0.0, 1.0], (people, FRAMES, 1))
    trans[:, :, 0] += 0.05 * np.arange(FRAMES)
    cast = People(
        np.arange(1, people + 1), np.zeros((people, 10)), orient, np.zeros((people, FRAMES, 23, 3)), trans,
        np.ones((people, FRAMES), bool), np.ones((people, FRAMES, 24)),
    )  # fmt: skip
    R = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # looks along +y, level
    T = compose(np.tile(R, (FRAMES, 1, 1)), np.c_[0.05 * np.arange(FRAMES), np.full(FRAMES, -4.0), np.full(FRAMES, 1.0)])
    drifted = T.copy()
    drifted[:, 0, 3] += 0.03 * np.arange(FRAMES)
    K = np.tile(intrinsics(130.0, WIDTH, HEIGHT), (FRAMES, 1, 1))
    points = np.random.default_rng(0).uniform([-3, 2, 0], [3, 4, 3], (50, 3))
    contact = np.zeros((people, FRAMES, 4))
    world = World(Camera(T, K), cast, 1.0, points, contact, "contacts", np.eye(4))
    start = World(Camera(drifted, K), cast, 1.0, points, contact, "contacts", np.eye(4))
    _, keypoints, vertices = posed(cast, model)
    detected = np.ones((people, FRAMES, 25, 3))
    for p in range(people):
        detected[p, ..., :2] = project(keypoints[p], invert(T), K)
    tracks = Tracks(
        cast.ids, np.zeros((people, FRAMES, 4)), np.ones((people, FRAMES)), detected, np.zeros((people, FRAMES, 25, 4)),
        np.ones((people, FRAMES), int),
    )  # fmt: skip
    slam = Slam(
        world.camera, "full", {}, "given", 0.01, np.ones(FRAMES, bool), points, np.zeros((50, 3), np.uint8),
        np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)),
    )  # fmt: skip
    film = Film(world.camera, points, "optimised", {"joints": 2.0}, {"joints": 1.0}, np.array([[3.0, 2], [2, 1], [1, 1]]), ["joints", "points"])
    masks = [
        instance_mask([vertices(p, i) for p in range(people)], model.faces.numpy(), list(cast.ids), T[i], K[i], WIDTH, HEIGHT)
        for i in range(FRAMES)
    ]
    pictures = [np.full((HEIGHT, WIDTH, 3), 90 + 10 * i, np.uint8) for i in range(FRAMES)]
    (folder / "plate" / "unseen").mkdir(parents=True)
    for i in range(FRAMES):
        cv2.imwrite(str(folder / "plate" / f"{i:06d}.png"), pictures[i])
        cv2.imwrite(str(folder / "plate" / "unseen" / f"{i:06d}.png"), np.where(masks[i] > 0, 255, 0).astype(np.uint8))
    shot = Shot(
        "/films/a <b>walk.mp4", "0" * 64, "24/1", WIDTH, HEIGHT, WIDTH, HEIGHT, 0, FRAMES, [[0, FRAMES]], np.arange(FRAMES) / 24
    )
    state = {"stages": {"track": {"seconds": 3.5}, "slam": {"seconds": 1.5}}, "warnings": ["Mind the <gap>."]}
    return SimpleNamespace(
        folder=folder, shot=shot, frames=SimpleNamespace(read=lambda i: pictures[i]), tracks=tracks, slam=slam, start=start, film=film,
        world=world, masks=lambda i: masks[i], model=model, state=state,
    )  # fmt: skip


def write_report(take):
    return report.run(
        take.folder, take.shot, take.frames, take.tracks, take.slam, take.start, take.film, take.world, take.masks, take.masks,
        take.model, take.state, Reporter(),
    )  # fmt: skip


class _Page(HTMLParser):
    """Collects tags and everything that could be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "line", "path", "circle", "polygon", "br"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_report_of_a_perfect_solve(take):
    result = write_report(take)
    stored = json.loads((take.folder / "report.json").read_text())
    assert stored == result
    assert stored["pa"] == 100 and stored["iou"] == 1 and stored["iou_people"] == 1
    assert stored["joint_error_px"]["final"] < 1e-3
    # Ĉ is off by 3 cm a frame at 4 m: 130 px / 4 m x mean drift of 7.5 cm, a little more or less by the depth of the joint
    assert stored["joint_error_px"]["start"] == pytest.approx(130 / 4 * 0.075, rel=0.05)
    assert stored["joint_error_px_1920"]["start"] == pytest.approx(stored["joint_error_px"]["start"] * 12)
    assert stored["compared_frames"]["start"]["iou_people"] < stored["compared_frames"]["final"]["iou_people"] == 1
    assert stored["camera"]["path_m"] == pytest.approx(0.25)
    assert stored["plate"]["unseen_share_of_hidden"] == 1
    assert stored["stages"] == {"track": 3.5, "slam": 1.5}


def test_who_passes_behind_others_is_compared_with_no_mask(tmp_path):
    take = make_take(tmp_path, people=1)
    solved, hidden = take.masks, 2
    take.tracks.source[0, hidden] = 0
    take.masks = lambda i: solved(i) * (i != hidden)
    result = report.run(
        take.folder, take.shot, take.frames, take.tracks, take.slam, take.start, take.film, take.world, take.masks, solved,
        take.model, take.state, Reporter(),
    )  # fmt: skip
    assert result["iou"] == 1 and result["iou_people"] == 1 and solved(hidden).any()
    take.tracks.source[0, hidden] = 1  # found there, so that a mask is missing
    result = report.run(
        take.folder, take.shot, take.frames, take.tracks, take.slam, take.start, take.film, take.world, take.masks, solved,
        take.model, take.state, Reporter(),
    )  # fmt: skip
    assert result["iou_people"] == pytest.approx(1 - 1 / FRAMES)


def test_page_is_whole_and_self_contained(take):
    write_report(take)
    text = (take.folder / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []  # every tag is closed
    assert len(page.links) > 20 and all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text) and "url(" not in text and "<script" not in text
    assert "a <b>walk.mp4" in page.text and "Mind the <gap>." in page.text  # escaped, so still text


def test_a_portrait_is_the_upper_half_of_the_person_in_the_frame_that_shows_most_of_them(take):
    write_report(take)
    portrait = cv2.imread(str(take.folder / "people" / "01.jpg"))
    assert portrait.shape == (pictures.PORTRAIT, pictures.PORTRAIT, 3)
    areas = [np.count_nonzero(take.masks(i) == 1) for i in range(FRAMES)]
    assert abs(float(portrait.mean()) - (90 + 10 * int(np.argmax(areas)))) < 2  # each frame of this film is of one grey


def test_a_portrait_holds_the_head_and_stays_in_the_picture(tmp_path):
    rgb, mask = np.zeros((90, 160, 3), np.uint8), np.zeros((90, 160), np.uint8)
    mask[4:84, 0:20] = 3  # at the left edge
    rgb[4:24, 0:20], rgb[60:84, 0:20] = (255, 0, 0), (0, 0, 255)
    people = SimpleNamespace(ids=[3], visible=np.ones((1, 1), bool))
    pictures.portraits(Take(tmp_path), SimpleNamespace(read=lambda _: rgb), lambda _: mask, people)
    shown = cv2.imread(str(tmp_path / "people" / "03.jpg"))[..., ::-1].astype(int)
    assert (shown[..., 0] > 150).mean() == pytest.approx(20 * 20 / 40**2, rel=0.1) and not (shown[..., 2] > 150).any()


def test_close_up_holds_everyone_and_keeps_the_proportions():
    people = np.zeros((90, 160), bool)
    whole = pictures.close_up(people)
    assert people[whole].shape == (90, 160)
    people[60:88, 2:12] = True  # in a corner
    part = people[pictures.close_up(people)]
    assert part.sum() == people.sum() and part.shape[1] / part.shape[0] == pytest.approx(16 / 9, rel=0.03)
    assert 28 * 1.2 < part.shape[0] < 28 * 1.3
    people[:] = False
    people[40, 80] = True
    assert people[pictures.close_up(people)].shape[1] == 40  # no closer than a quarter of the frame
    people[0, 0] = people[-1, -1] = True
    assert people[pictures.close_up(people)].shape == (90, 160)


def test_report_without_people_and_plate(tmp_path, capfd):
    take = make_take(tmp_path, people=0)
    for file in (tmp_path / "plate" / "unseen").iterdir():
        file.unlink()
    take.film.loss_history, take.film.loss_terms = np.zeros((0, 0)), []
    result = write_report(take)
    assert result["iou_people"] is None and result["joint_error_px"]["final"] is None and result["plate"] is None
    assert _Page((tmp_path / "report.html").read_text()).links
    assert capfd.readouterr().err == ""  # OpenCV complains there of files that are not there


def test_preview_shows_the_original_and_the_person(take):
    pictures = list(preview.pictures(take.shot, take.frames, take.world, take.model))
    assert len(pictures) == FRAMES
    for i, picture in enumerate(pictures):
        assert picture.shape[0] % 2 == 0 and picture.shape[1] == 2 * WIDTH + preview.GAP
        assert (picture[40:HEIGHT, :WIDTH] == 90 + 10 * i).all()  # below the label: the original, untouched
        solved = picture[:HEIGHT, WIDTH + preview.GAP :]
        mask = take.masks(i) > 0
        inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
        inner[:40] = False
        # shading keeps the hue: the person's red stays the strongest channel
        assert (solved[inner].argmax(1) == np.argmax(colour_of(1))).all()
        outside = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) == 0
        outside[:40] = False
        assert (solved[outside] == 90 + 10 * i).all()
    world = pictures[2][HEIGHT + preview.GAP :].astype(int)
    red = (world[..., 0] > world[..., 2] + 60) & (world[..., 1] < 120)
    assert red.sum() > 50  # the body stands in the world, too
    preview.run(take.shot, take.frames, take.world, take.model, take.folder, Reporter())
    with av.open(str(take.folder / "preview.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == FRAMES


def test_preview_without_people(tmp_path):
    take = make_take(tmp_path, people=0)
    preview.run(take.shot, take.frames, take.world, take.model, tmp_path, Reporter())
    assert (tmp_path / "preview.mp4").stat().st_size > 1000
