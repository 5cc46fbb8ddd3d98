"""Imported masks and 2D joints, and the tracks made from them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from solver.body.model import BodyModel
from solver.frames import intrinsics, project
from solver.imports import add_people, read_joints, read_masks, tracks_from_imports
from solver.imports.evidence_picture import joints_against_film, masks_against_film
from solver.imports.person import REST_PELVIS, Person
from solver.imports.tracks import joints_of_masks
from solver.protocol import Reporter, ShotError
from solver.records import Tracks
from solver.skeleton import COCO_JOINTS, KEYPOINTS
from solver.take import read_mask, write_mask
from solver.track.backend import Body, Pose
from tests.imports_cases import FRAMES, HEIGHT, WIDTH, shot

BOXES = np.array([[100, 60, 200, 300], [400, 90, 480, 320]])  # where two people stand; both move 5 px a frame


def truth(index, scale=1):
    """Instance mask of a frame."""
    mask = np.zeros((HEIGHT * scale, WIDTH * scale), np.uint8)
    for n, (x0, y0, x1, y1) in enumerate(BOXES * scale):
        mask[y0:y1, x0 + 5 * scale * index : x1 + 5 * scale * index] = n + 1
    return mask


def skeletons(seed=0):
    """(2, T, 25, 3) joints inside the boxes."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0.1, 0.9, (2, 1, len(KEYPOINTS), 2))
    out = np.zeros((2, FRAMES, len(KEYPOINTS), 3))
    out[..., :2] = BOXES[:, None, None, :2] + at * (BOXES[:, 2:] - BOXES[:, :2])[:, None, None]
    out[..., 0] += 5 * np.arange(FRAMES)[None, :, None]
    out[..., 2] = 0.9
    return out


# -- masks


def test_palette_masks_of_another_size(tmp_path):
    for f in range(FRAMES):
        write_mask(tmp_path / f"{f:05d}.png", truth(f, 2))
    masks = read_masks(tmp_path, shot())
    assert masks.ids == [1, 2]
    assert all(np.array_equal(masks.read(f), truth(f)) for f in range(FRAMES))


def test_grey_values_and_void(tmp_path):
    values = np.array([0, 38, 75], np.uint8)
    for f in range(FRAMES):
        grey = values[truth(f)]
        grey[:10] = 255  # DAVIS's void
        Image.fromarray(grey).save(tmp_path / f"frame{f + 1}.png")
    masks = read_masks(tmp_path, shot())
    assert masks.names == ["38", "75"]
    assert np.array_equal(masks.read(2), truth(2))


def test_colours(tmp_path):
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 0]], np.uint8)
    for f in range(FRAMES):
        Image.fromarray(colours[truth(f)]).save(tmp_path / f"{f}.png")
    masks = read_masks(tmp_path, shot())
    got = masks.read(1)
    assert masks.ids == [1, 2] and len(np.unique(got[truth(1) == 1])) == 1 and len(np.unique(got[truth(1) == 2])) == 1
    assert not got[truth(1) == 0].any()


def test_one_folder_a_person(tmp_path):
    for n, name in enumerate(("ada", "bert")):
        (tmp_path / name).mkdir()
        for f in range(FRAMES):
            if not (name == "bert" and f == 3):
                Image.fromarray(((truth(f) == n + 1) * 255).astype(np.uint8)).save(tmp_path / name / f"{f:04d}.png")
    masks = read_masks(tmp_path, shot())
    assert masks.names == ["ada", "bert"]
    assert np.array_equal(masks.read(0), truth(0))
    assert not (masks.read(3) == 2).any() and (masks.read(3) == 1).any()


def test_masks_of_the_whole_clip(tmp_path):
    for f in range(FRAMES + 4):
        write_mask(tmp_path / f"{f:05d}.png", truth(f))
    assert np.array_equal(read_masks(tmp_path, shot(start=4)).read(0), truth(4))


def test_wrong_masks(tmp_path):
    for name in ("none", "empty", "shape", "broken"):
        (tmp_path / name).mkdir()
    write_mask(tmp_path / "empty" / "0.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    write_mask(tmp_path / "shape" / "0.png", np.ones((100, 100), np.uint8))
    (tmp_path / "broken" / "0.png").write_bytes(b"no picture")
    for name in ("none", "empty", "shape", "broken", "missing"):
        with pytest.raises(ShotError) as caught:
            read_masks(tmp_path / name, shot()).read(0)
        assert "\n" not in caught.value.message and caught.value.fix


# -- joints


def same_joints(got, want, names=KEYPOINTS):
    index = [KEYPOINTS.index(n) for n in names]
    assert np.abs(got[:, :, index] - want[:, :, index]).max() < 1e-6
    rest = [i for i in range(len(KEYPOINTS)) if i not in index]
    assert not got[:, :, rest].any()


def source_px(points):
    """Joints as a program writes them: in the original picture (twice as large), from the middle of the first pixel."""
    out = points.copy()
    out[..., :2] = out[..., :2] * 2 - 0.5
    return out


def test_our_npz(tmp_path):
    want = skeletons()
    np.savez(tmp_path / "a.npz", keypoints_2d=want)
    same_joints(read_joints(tmp_path / "a.npz", shot()), want)
    doubled = want * [2, 2, 1]
    np.savez(tmp_path / "b.npz", keypoints_2d=doubled[:, :, :17], width=2 * WIDTH, height=2 * HEIGHT)
    same_joints(read_joints(tmp_path / "b.npz", shot()), want, COCO_JOINTS)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("names", ["number", "file"])
def test_coco_results(tmp_path, named, names):
    want = skeletons()
    file = source_px(want)
    rows = []
    for f in range(FRAMES):
        for p in (0, 1) if f % 2 else (1, 0):  # the order within a frame says nothing
            image = f if names == "number" else f"frame_{f + 1:04d}.jpg"
            rows.append(
                {"image_id": image, "category_id": 1, "keypoints": file[p, f, :17].ravel().tolist(), "score": 0.9}
            )
            if named:
                rows[-1]["track_id"] = 10 + p
    (tmp_path / "results.json").write_text(json.dumps(rows))
    got = read_joints(tmp_path / "results.json", shot())
    if not named:
        got = got[np.argsort(got[:, 0, :17, 0].mean(1))]
    same_joints(got, want, COCO_JOINTS)


def test_whole_body_in_mmposes_layout(tmp_path):
    want = skeletons()
    file = source_px(want)
    place = {n: i for i, n in enumerate(COCO_JOINTS)} | {
        "left_big_toe": 17, "left_heel": 19, "right_big_toe": 20, "right_heel": 22, "left_index_knuckle": 96,
        "left_pinky_knuckle": 108, "right_index_knuckle": 117, "right_pinky_knuckle": 129,
    }  # fmt: skip
    frames = []
    for f in range(FRAMES):
        instances = []
        for p in range(2):
            points, scores = np.zeros((133, 2)), np.zeros(133)
            for name, i in place.items():
                points[i], scores[i] = file[p, f, KEYPOINTS.index(name), :2], file[p, f, KEYPOINTS.index(name), 2]
            instances.append({"keypoints": points.tolist(), "keypoint_scores": scores.tolist(), "bbox": [[0, 0, 1, 1]]})
        frames.append({"frame_id": f + 1, "instances": instances})
    (tmp_path / "clip.json").write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
    got = read_joints(tmp_path / "clip.json", shot())
    same_joints(got[np.argsort(got[:, 0, :, 0].mean(1))], want)


def test_openpose_folder(tmp_path):
    order = (
        "nose", None, "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", None, "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", None, "left_heel", "right_big_toe", None, "right_heel",
    )  # fmt: skip
    want = skeletons()
    file = source_px(want)
    for f in range(FRAMES):
        people = []
        for p in range(2):
            rows = [file[p, f, KEYPOINTS.index(n)] if n else np.zeros(3) for n in order]
            people.append({"person_id": [-1], "pose_keypoints_2d": np.ravel(rows).tolist()})
        (tmp_path / f"clip_{f:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    got = read_joints(tmp_path, shot())
    same_joints(got[np.argsort(got[:, 0, 0, 0])], want, [n for n in order if n])


@pytest.mark.parametrize("kept", ["list", "names", "folder"])
def test_sam_3d_body(tmp_path, kept):
    """What process_one_image returns, saved in the ways that people save it. 70 joints in the order of its mhr70.py."""
    import pickle

    order = {
        62: "left_wrist",
        41: "right_wrist",
        9: "left_hip",
        14: "right_ankle",
        15: "left_big_toe",
        20: "right_heel",
        49: "left_index_knuckle",
    }
    order |= dict(enumerate(KEYPOINTS[:9]))
    want = skeletons()
    pictures = []
    for f in range(FRAMES):
        people = []
        for p in range(2):
            two = np.full((70, 2), 5.0)
            for i, name in order.items():
                two[i] = want[p, f, KEYPOINTS.index(name), :2] * 2  # of the film's own 1280 x 720
            people.append(
                {"bbox": np.zeros(4), "pred_keypoints_2d": two, "pred_vertices": np.zeros((3, 3)), "mask": None}
            )
        pictures.append(people)
    path = tmp_path / "out.pkl"
    if kept == "folder":
        path = tmp_path / "out"
        path.mkdir()
        for f, people in enumerate(pictures):
            (path / f"frame_{f + 1:05d}.pkl").write_bytes(pickle.dumps(people))
    else:
        path.write_bytes(pickle.dumps(pictures if kept == "list" else {f"{f}.jpg": p for f, p in enumerate(pictures)}))
    got = read_joints(path, shot())
    for name in order.values():
        k = KEYPOINTS.index(name)
        assert np.allclose(got[:, :, k, :2], want[:, :, k, :2], atol=1e-6) and (got[:, :, k, 2] > 0).all()
    from solver.imports import read_people

    if kept != "folder":
        with pytest.raises(ShotError, match="SAM 3D Body"):
            read_people([path], shot())


def test_wrong_joints(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "b.json").write_text('[{"image_id": 0}]')
    (tmp_path / "c.json").write_text(json.dumps([{"image_id": 0, "keypoints": [1.0] * 30}]))
    (tmp_path / "d.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "e.npz", keypoints_2d=np.zeros((3, 4)))
    for path in tmp_path.iterdir():
        with pytest.raises(ShotError) as caught:
            read_joints(path, shot())
        assert "\n" not in caught.value.message and caught.value.fix


# -- tracks


class Eye:
    """A back end that sees joints in the middle of the box it is given, and remembers what it was asked."""

    name, licence = "eye", "none"

    def __init__(self):
        self.asked = []

    def provenance(self):
        return {"name": self.name}

    def detect(self, rgb):
        return np.zeros((0, 4)), np.zeros(0)

    def pose(self, rgb, box, turns=(0.0,)):
        self.asked.append(np.asarray(box))
        x, y = (box[:2] + box[2:]) / 2
        spread = np.linspace(-0.3, 0.3, 17)
        return Pose(np.stack([x + spread * (box[2] - box[0]), y + spread * (box[3] - box[1]), np.full(17, 0.8)], -1))

    def body(self, rgb, pose, box):
        side = 256 / max(box[2] - box[0], box[3] - box[1])
        A = np.array([[1 / side, 0, box[0]], [0, 1 / side, box[1]]])
        mask = np.zeros((256, 256), np.uint8)
        mask[: int(side * (box[3] - box[1])), : int(side * (box[2] - box[0]))] = 255
        landmarks = np.zeros((33, 3))
        landmarks[:, :2] = (box[:2] + box[2:]) / 2
        return Body(landmarks, np.zeros((33, 3)), 0.9, mask, A)


class Film:
    def read(self, index):
        return np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def test_tracks_from_masks_look_up_joints(tmp_path):
    for f in range(FRAMES):
        mask = truth(f)
        if f == 4:
            mask[mask == 2] = 0
        (tmp_path / "in").mkdir(exist_ok=True)
        write_mask(tmp_path / "in" / f"{f}.png", mask)
    eye = Eye()
    tracks = tracks_from_imports(shot(), Film(), tmp_path, masks=read_masks(tmp_path / "in", shot()), backend=eye)
    assert tracks.ids.tolist() == [1, 2] and tracks.provenance["given"]["masks"]["compared"] == 0
    assert tracks.visible[1].tolist() == [True, True, True, True, False, True]
    assert np.allclose(tracks.boxes[0, 2], BOXES[0] + [10, 0, 10, 0])
    assert len(eye.asked) == 2 * FRAMES - 1
    assert (tracks.keypoints_2d[0, 0, :17, 2] > 0).all() and np.isnan(tracks.boxes[1, 4]).all()
    assert np.array_equal(read_mask(tmp_path / "masks" / "000002.png"), truth(2))


def test_who_touches_somebody_is_looked_at_alone(tmp_path):
    """Two who share a side, one red and one blue: the nets see each without the other, and both as they are where they are apart."""
    (tmp_path / "in").mkdir()
    masks, colours = [], np.array([[90, 90, 90], [220, 30, 30], [30, 30, 220]], np.uint8)
    for f in range(FRAMES):
        mask, gap = np.zeros((HEIGHT, WIDTH), np.uint8), 0 if f < 3 else WIDTH // 3
        mask[HEIGHT // 4 : 3 * HEIGHT // 4, WIDTH // 4 : WIDTH // 3] = 1
        mask[HEIGHT // 4 : 3 * HEIGHT // 4, WIDTH // 3 + gap : WIDTH // 3 + WIDTH // 12 + gap] = 2
        masks.append(mask)
        write_mask(tmp_path / "in" / f"{f}.png", mask)

    class Coloured(Film):
        def read(self, index):
            return colours[masks[index]]

    class Looks(Eye):
        def pose(self, rgb, box, turns=(0.0,)):
            self.seen = [*getattr(self, "seen", []), [(np.abs(rgb.astype(int) - colour).max(-1) < 25).sum() for colour in colours[1:]]]
            return super().pose(rgb, box, turns)

    eye = Looks()
    tracks_from_imports(shot(), Coloured(), tmp_path, masks=read_masks(tmp_path / "in", shot()), backend=eye)
    for f, (first, second) in enumerate(zip(eye.seen[::2], eye.seen[1::2])):
        whole = (masks[f] == 1).sum()
        assert first[0] > 0.9 * whole and second[1] > 0.9 * whole
        assert (max(first[1], second[0]) < 0.1 * whole) == (f < 3)


def test_tracks_from_joints_look_up_masks(tmp_path):
    want = skeletons()
    tracks = tracks_from_imports(shot(), Film(), tmp_path, joints=want, backend=Eye())
    assert np.array_equal(tracks.keypoints_2d, want)
    mask = read_mask(tmp_path / "masks" / "000000.png")
    assert set(np.unique(mask)) == {0, 1, 2}
    for p in range(2):
        inside = want[p, 0, :, :2].astype(int)
        assert (mask[inside[:, 1], inside[:, 0]] == p + 1).all()


def test_masks_say_who_the_joints_are(tmp_path):
    (tmp_path / "in").mkdir()
    for f in range(FRAMES):
        write_mask(tmp_path / "in" / f"{f}.png", truth(f))
    masks, want = read_masks(tmp_path / "in", shot()), skeletons()
    mixed = want.copy()
    mixed[:, 3:] = want[::-1, 3:]  # the joints' own identities swap
    stray = want[:1] + [0, 600, 0]
    report = Reporter()
    assert np.array_equal(joints_of_masks(masks, np.concatenate([mixed, stray]), FRAMES, report), want)
    assert "1 people" in report.warnings[0]
    eye = Eye()
    tracks = tracks_from_imports(shot(), Film(), tmp_path, masks=masks, joints=mixed, backend=eye)
    assert np.array_equal(tracks.keypoints_2d, want) and not eye.asked


def test_imported_bodies_find_their_tracks_or_get_one(tmp_path):
    model = BodyModel.load()
    K = np.repeat(intrinsics(600.0, WIDTH, HEIGHT)[None], FRAMES, 0)
    poses = np.zeros((FRAMES, 24, 3))
    poses[:, 0] = [np.pi, 0, 0]  # upright in OpenCV's axes

    def person(x, family="reshoot"):
        J = np.array(REST_PELVIS["smpl"]) if family == "smpl" else model.rest(torch.zeros(10))[0][0].double().numpy()
        place = np.array([x, 0.0, 5.0]) + np.outer(np.arange(FRAMES), [0.03, 0, 0])
        return Person(
            f"person at {x}", family, "camera", poses, place - J, np.zeros(10), np.arange(FRAMES), K=K, rest_pelvis=J
        )

    left, right, away = person(-1.2), person(1.2, "smpl"), person(90.0)
    _, _, keypoints = model.fk(
        torch.zeros(FRAMES, 10), torch.as_tensor(poses).float(), torch.as_tensor(left.trans).float()
    )
    xy = project(keypoints.double().numpy(), np.eye(4)[None], K)
    two = np.concatenate([xy + 2.0, np.full((FRAMES, 25, 1), 0.8)], -1)
    boxes = np.concatenate([xy.min(1), xy.max(1)], -1)
    source = np.ones((1, FRAMES), int)
    source[0, 2] = 0  # lost for a frame
    tracks = Tracks(
        np.array([4]),
        boxes[None],
        np.ones((1, FRAMES)),
        two[None],
        np.zeros((1, FRAMES, 25, 4)),
        source,
        {},
    )
    (tmp_path / "masks").mkdir()
    for f in range(FRAMES):
        write_mask(tmp_path / "masks" / f"{f:06d}.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    report = Reporter()
    grown, ids = add_people(tracks, [right, left, away], shot(), tmp_path, model, report=report)
    assert ids == [5, 4, 0] and grown.ids.tolist() == [4, 5]
    assert grown.visible[1].all() and (grown.keypoints_2d[1, 0, :, 2] > 0).sum() > 15
    assert grown.source[0].tolist() == [1, 1, 2, 1, 1, 1]
    assert np.allclose(grown.keypoints_2d[0, 2, :, :2], xy[2], atol=1e-3) and np.allclose(
        grown.keypoints_2d[0, 1], two[1]
    )
    about = keypoints.double().numpy() - keypoints.double().numpy()[:, 11:13].mean(1, keepdims=True)
    assert np.allclose(grown.keypoints_3d[0, ..., :3], about, atol=1e-5) and np.array_equal(tracks.source, source)
    assert "person at 90.0" in report.warnings[0]
    mask = read_mask(tmp_path / "masks" / "000000.png")
    assert (
        set(np.unique(mask)) == {0, 5} and (mask == 5)[:, WIDTH // 2 :].sum() > 1000 and not mask[:, : WIDTH // 2].any()
    )


# -- against the film


def walker(times):
    """Joints (N, 25, 3) of somebody who walks through the picture, with swinging arms, at any times in frames."""
    times = np.asarray(times, float)[:, None]
    rng = np.random.default_rng(5)
    rest = rng.uniform([-25, -90], [25, 90], (25, 2))
    x = 80 + 14 * times + 20 * np.sin(times / 5) + rest[:, 0] + 12 * np.sin(times / 2 + rest[:, 1])
    y = 190 + 4 * np.sin(times) + rest[:, 1] + 0 * x
    return np.stack([x, y, np.full_like(x, 0.9)], -1)


LONG = shot(frames=24)
FOUND = {f: [walker([f])[0, :17] + [1.5, -1.0, 0]] for f in (0, 5, 9, 14, 18, 23)}


@pytest.mark.parametrize("scale,times,words", [
    (1.0, np.arange(24), ""),
    (0.5, np.arange(24), "pictures 0.5 times as large"),
    (2.0, np.arange(24), "pictures 2 times as large"),
    (1.0, np.arange(0, 24, 2), "a pose every 2 frames"),
    (1.0, np.arange(0, 24, 3), "a pose every 3 frames"),
    (1.0, np.arange(5, 24), "from frame 5"),
    (0.5, np.arange(0, 24, 2), "pictures 0.5 times as large, a pose every 2 frames"),
])  # fmt: skip
def test_joints_against_the_film(scale, times, words):
    given = np.zeros((1, 24, 25, 3))
    given[0, : len(times)] = walker(times) * [scale, scale, 1]
    report = Reporter()
    joints, fact = joints_against_film(given, FOUND, LONG, report)
    assert bool(report.warnings) == bool(words) and all(words in w for w in report.warnings)
    assert fact["share"] > 0.8 and fact["px"] < 8
    there = (joints[0, :, :, 2] > 0).all(1)
    assert (
        there.sum() >= int(times[-1] - times[0]) and np.abs(joints[0, there] - walker(np.flatnonzero(there))).max() < 12
    )
    if not words:
        assert joints is given


def test_joints_of_another_clip_are_told_and_kept():
    given = np.zeros((1, 24, 25, 3))
    given[0] = walker(np.arange(24)) * [-1, 1, 1] + [600, 120, 0]
    report = Reporter()
    joints, fact = joints_against_film(given, FOUND, LONG, report)
    assert joints is given and fact["share"] < 0.5 and "do not lie on the people" in report.warnings[0]
    joints, fact = joints_against_film(given, {0: []}, LONG, report)
    assert joints is given and fact["px"] is None and "could not be compared" in report.warnings[1]


@pytest.mark.parametrize(
    "times,words", [(np.arange(24), ""), (np.arange(0, 24, 2), "a mask every 2"), (np.arange(4, 24), "from frame 4")]
)
def test_masks_against_the_film(tmp_path, times, words):
    for k, joints in enumerate(walker(times)):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        (x0, y0), (x1, y1) = joints[:, :2].min(0).astype(int), joints[:, :2].max(0).astype(int)
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = 1
        write_mask(tmp_path / f"mask_{k + 1:04d}.png", mask)
    report = Reporter()
    masks, fact = masks_against_film(read_masks(tmp_path, LONG), FOUND, LONG, report)
    assert bool(report.warnings) == bool(words) and all(words in w for w in report.warnings)
    for f, k in ((int(times[3]), 3), (int(times[-1]), len(times) - 1)):
        assert np.array_equal(masks.read(f), read_mask(tmp_path / f"mask_{k + 1:04d}.png"))
    assert fact["share"] > 0.6  # one of the six frames has none where they begin late


def test_masks_that_hold_nobody_are_told(tmp_path):
    for k in range(24):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:40, :40] = 1
        write_mask(tmp_path / f"{k}.png", mask)
    report = Reporter()
    _, fact = masks_against_film(read_masks(tmp_path, LONG), FOUND, LONG, report)
    assert fact["share"] < 0.1 and "hold only" in report.warnings[0]
