"""Corrections of a take: on tracks, on masks, in the file, on the command line, and which stage they concern."""

import argparse
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.corrections import (
    FILE,
    Corrections,
    apply_to_tracks,
    forget_masks,
    load,
    relabel_masks,
    save,
)
from solver.corrections.cli import add_parser, run
from solver.corrections.on_tracks import show_joints
from solver.frames import compose
from solver.protocol import ShotError
from solver.records import Camera, People, Tracks, World, save_record
from solver.take import Take, read_mask, write_mask

T = 10


def tracks(people=3, seen=None):
    """People whose boxes, joints and scores tell who and when they are."""
    P = people
    source = np.ones((P, T), int)
    if seen is not None:
        source = np.asarray(seen, int)
    who = np.arange(1, P + 1)[:, None] * 100.0 + np.arange(T)
    boxes = np.where(source[..., None] > 0, who[..., None] + [0, 0, 10, 20], np.nan)
    two = np.zeros((P, T, 25, 3)) + who[..., None, None]
    two[..., 2] = 0.5 * (source > 0)[..., None]
    score = np.where(source > 0, 0.5 + 0.1 * np.arange(P)[:, None], 0.0)
    return Tracks(np.arange(1, P + 1), boxes, score, two, np.zeros((P, T, 25, 4)), source, {"name": "test"})


def owner(result, ident, frame):
    """Who the box of a person in a frame was at first; 0 where the person is not seen."""
    row = int(np.flatnonzero(result.ids == ident)[0])
    return int(np.nan_to_num(result.boxes[row, frame, 0]) // 100)


def apply(*items, to=None):
    corrections = Corrections()
    for do, values in items:
        corrections = corrections.with_item(do, **values)
    return apply_to_tracks(to if to is not None else tracks(), corrections)


def test_merge_fills_the_gap():
    seen = np.array([[1] * 4 + [0] * 6, [0] * 6 + [1] * 4, [1] * 10])
    result, labels = apply(("merge", {"keep": 1, "other": 2}), to=tracks(seen=seen))
    assert result.ids.tolist() == [1, 3]
    assert [owner(result, 1, f) for f in range(T)] == [1, 1, 1, 1, 0, 0, 2, 2, 2, 2]
    assert (labels[:, 2] == 1).all() and (labels[:, 1] == 1).all() and (labels[:, 3] == 3).all()


def test_merge_believes_the_surer_one():
    result, _ = apply(("merge", {"keep": 1, "other": 3}))
    assert [owner(result, 1, f) for f in range(T)] == [3] * T


def test_split_gives_the_later_part_a_new_number():
    result, labels = apply(("split", {"person": 2, "frame": 4, "new": 4}))
    assert result.ids.tolist() == [1, 2, 3, 4]
    assert [owner(result, 2, f) for f in range(T)] == [2] * 4 + [0] * 6
    assert [owner(result, 4, f) for f in range(T)] == [0] * 4 + [2] * 6
    assert labels[3, 2] == 2 and labels[4, 2] == 4
    assert not result.keypoints_2d[1, 4:, :, 2].any() and not result.visible[3, :4].any()


def test_delete():
    result, labels = apply(("delete", {"person": 2}))
    assert result.ids.tolist() == [1, 3] and (labels[:, 2] == 0).all() and (labels[:, 3] == 3).all()


def test_swap_from_a_frame_on():
    result, labels = apply(("swap", {"a": 1, "b": 3, "frame": 6}))
    assert [owner(result, 1, f) for f in range(T)] == [1] * 6 + [3] * 4
    assert [owner(result, 3, f) for f in range(T)] == [3] * 6 + [1] * 4
    assert labels[5, [1, 3]].tolist() == [1, 3] and labels[6, [1, 3]].tolist() == [3, 1]


def test_each_speaks_of_the_numbers_that_the_ones_before_left():
    result, labels = apply(
        ("split", {"person": 1, "frame": 5, "new": 4}),
        ("merge", {"keep": 2, "other": 4}),
        ("swap", {"a": 2, "b": 3, "frame": 8}),
    )
    assert result.ids.tolist() == [1, 2, 3]
    # person 4 (1 from frame 5 on) went to 2, which was surer where both were seen, so 2 stayed 2 there
    assert [owner(result, 2, f) for f in range(T)] == [2] * 8 + [3] * 2
    assert labels[6, 1] == 2 and labels[9, 1] == 3 and labels[2, 1] == 1


@given(st.lists(st.sampled_from(["swap", "split", "merge", "delete"]), max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_masks_follow_the_tracks(kinds, random):
    """Whatever is done, a pixel ends with the number of the track that its box went to."""
    seen = np.zeros((4, T), int)
    for f in range(T):  # never two at a time, so no merge has to choose
        seen[f % 4, f] = 1
    start = tracks(4, seen)
    corrections, here = Corrections(), start
    for kind in kinds:
        ids = [int(i) for i in here.ids]
        if len(ids) < 2:
            break
        a, b = random.sample(ids, 2)
        values = {
            "swap": {"a": a, "b": b, "frame": random.randrange(T)}, "merge": {"keep": a, "other": b}, "delete": {"person": a},
            "split": {"person": a, "frame": random.randrange(1, T), "new": max([*ids, 20]) + 1},
        }[kind]  # fmt: skip
        more = corrections.with_item(kind, **values)
        try:
            here, labels = apply_to_tracks(start, more)
            corrections = more
        except ShotError:
            continue
    here, labels = apply_to_tracks(start, corrections)
    for f in range(T):
        now = {owner(here, i, f): int(i) for i in here.ids if owner(here, i, f)}
        first = f % 4 + 1
        assert labels[f, first] == now.get(first, 0)
    assert len(set(here.ids.tolist())) == len(here.ids) and here.visible.any(1).all()


def test_corrections_that_do_not_fit():
    for do, values in (
        ("merge", {"keep": 1, "other": 9}), ("delete", {"person": 0}), ("split", {"person": 1, "frame": 0, "new": 4}),
        ("split", {"person": 1, "frame": 10, "new": 4}), ("split", {"person": 1, "frame": 5, "new": 3}), ("swap", {"a": 1, "b": 2, "frame": 10}),
    ):  # fmt: skip
        with pytest.raises(ShotError) as caught:
            apply((do, values))
        assert caught.value.fix and "\n" not in caught.value.message
    for do, values in (
        ("merge", {"keep": 1, "other": 1}), ("height", {"person": 1, "metres": 182.0}), ("focal", {"mm": 0.035}), ("dance", {}),
        ("height", {"person": "1", "metres": 1.8}), ("focal", {"mm": float("nan")}), ("merge", {"keep": 1}),
    ):  # fmt: skip
        with pytest.raises(ShotError):
            Corrections().with_item(do, **values)


def test_heights_go_with_the_person():
    c = Corrections().with_item("height", person=2, metres=1.7).with_item("height", person=2, metres=1.82)
    assert np.array_equal(c.height_prior([1, 2, 3]), [np.nan, 1.82, np.nan], equal_nan=True)
    assert c.with_item("merge", keep=1, other=2).heights() == {1: 1.82}
    assert c.with_item("split", person=2, frame=4, new=5).heights() == {2: 1.82, 5: 1.82}
    assert c.with_item("delete", person=2).heights() == {}


def test_only_the_stages_concerned_get_another_key():
    plain = Corrections()
    stages = ("track", "edits", "slam", "body", "world", "film", "plate")

    def changed(*before, **item):
        base = plain
        for b in before:
            base = base.with_item(**b)
        more = base.with_item(**item)
        return {s for s in stages if more.key(s) != base.key(s)}

    assert all(plain.key(s) == "" for s in stages)
    assert changed(do="merge", keep=1, other=2) == {"edits"}
    assert changed(do="add", seen=3) == changed(do="only", seen=[1, 2]) == {"track"}
    assert changed(do="focal", mm=35.0) == {"slam"}
    assert changed(do="height", person=1, metres=1.8) == {"body", "world"}
    assert changed(do="ground", up=[0, -1, 0], height=1.0) == {"world"}
    assert changed(do="moved", first=0, last=5, metres=2.0) == {"world"}
    assert changed({"do": "stands", "person": 1, "first": 0, "last": 5}, do="merge", keep=2, other=1) == {"edits", "world"}


def test_ground_and_focal():
    c = (
        Corrections()
        .with_item("ground", up=[0.0, -2.0, 0.0], height=1.5)
        .with_item("focal", mm=28.0)
        .with_item("focal", mm=35.0)
    )
    up, height = c.ground
    assert np.allclose(up, [0, -1, 0]) and height == 1.5 and c.focal_mm == 35.0
    assert c.with_item("unlock").ground is None and Corrections().ground is None and Corrections().focal_mm is None


def test_what_is_known_of_the_place():
    c = Corrections().with_item("upright", frame=2, x1=0.5, y1=0.25, x2=0.5, y2=0.75)
    assert c.uprights(640, 360).tolist() == [[2, 320, 90, 320, 270]]
    assert Corrections().uprights(640, 360).shape == (0, 5)
    centres = np.zeros((T, 3))
    centres[:, 0] = np.arange(T) * 0.5
    c = Corrections().with_item("moved", first=0, last=4, metres=4.0)
    assert c.path_scale(centres) == pytest.approx(2.0)
    c = c.with_item("moved", first=9, last=5, metres=4.4)
    assert 2.0 < c.path_scale(centres) < 2.2
    assert Corrections().path_scale(centres) is None and c.path_scale(np.zeros((T, 3))) is None


def test_who_stands_goes_with_the_person():
    c = Corrections().with_item("stands", person=1, first=2, last=6)
    rows = lambda c, *ids: [np.flatnonzero(row).tolist() for row in c.standing(ids, T)]
    assert rows(c, 1, 2) == [[2, 3, 4, 5, 6], []]
    assert rows(c.with_item("merge", keep=2, other=1), 2) == [[2, 3, 4, 5, 6]]
    assert rows(c.with_item("split", person=1, frame=5, new=7), 1, 7) == [[2, 3, 4], [5, 6]]
    assert rows(c.with_item("swap", a=1, b=2, frame=4), 1, 2) == [[2, 3], [4, 5, 6]]
    assert rows(c.with_item("delete", person=1), 1) == [[]]


def test_what_cannot_be_of_a_place():
    for do, values in (
        ("upright", {"frame": 0, "x1": 0.5, "y1": 0.5, "x2": 0.501, "y2": 0.5}), ("moved", {"first": 3, "last": 3, "metres": 1.0}),
        ("moved", {"first": 0, "last": 3, "metres": -1.0}), ("stands", {"person": 1, "first": 4, "last": 2}),
    ):  # fmt: skip
        with pytest.raises(ShotError) as caught:
            Corrections().with_item(do, **values)
        assert caught.value.fix


# -- the file


def test_file_round_trip(tmp_path):
    assert load(tmp_path).items == []
    c = Corrections().with_item("swap", a=1, b=2, frame=3).with_item("height", person=1, metres=1.8)
    save(tmp_path, c)
    assert load(tmp_path).items == c.items and [p.name for p in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema_version": 1}', '{"schema_version": 9, "corrections": []}', '{"schema_version": 1, "corrections": [3]}',
     '{"schema_version": 1, "corrections": [{"do": "merge", "keep": 1}]}', '{"schema_version": 1, "corrections": [{"do": "fly"}]}'],
)  # fmt: skip
def test_damaged_files(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ShotError) as caught:
        load(tmp_path)
    assert caught.value.fix


# -- masks and command line


@pytest.fixture
def take(tmp_path):
    take = Take(tmp_path / "take")
    take.stages.mkdir(parents=True)
    (take.folder / "masks").mkdir()
    take.write({"schema_version": 1, "people": []})
    save_record(take.stage("track"), tracks())
    for f in range(T):
        mask = np.zeros((4, 6), np.uint8)
        mask[0, :2], mask[1, :2], mask[2, :2] = 1, 2, 3
        write_mask(take.mask(f), mask)
    return take


def test_masks_are_relabelled_from_what_was_tracked(take):
    before = [read_mask(take.mask(f)) for f in range(T)]
    _, labels = apply(("swap", {"a": 1, "b": 2, "frame": 5}))
    for _ in range(2):  # twice is as good as once
        relabel_masks(take, labels)
        assert np.array_equal(read_mask(take.mask(4)), before[4])
        assert read_mask(take.mask(5))[0, 0] == 2 and read_mask(take.mask(5))[1, 0] == 1
    _, labels = apply(("delete", {"person": 3}))
    relabel_masks(take, labels)
    assert not (read_mask(take.mask(7)) == 3).any() and read_mask(take.mask(7))[0, 0] == 1
    relabel_masks(take, apply()[1])
    assert all(np.array_equal(read_mask(folder(f)), before[f]) for folder in (take.mask, take.drawn) for f in range(T))


def test_new_masks_are_not_covered_by_old_ones(take):
    relabel_masks(take, apply(("delete", {"person": 3}))[1])
    forget_masks(take)
    write_mask(take.mask(0), np.full((4, 6), 2, np.uint8))
    relabel_masks(take, apply(("merge", {"keep": 1, "other": 2}))[1])
    assert (read_mask(take.mask(0)) == 1).all()


def call(take, *words):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command", required=True))
    return run(parser.parse_args(["take", str(take.folder), *map(str, words)]))


def test_command_line_of_the_place(take, capsys):
    take.write({"schema_version": 1, "people": [], "source": {"frames": T, "original_width": 1920, "original_height": 1080}})
    assert call(take, "upright", 3, 960, 540, 960, 1080) == 0
    assert load(take.folder).items[-1] == {"do": "upright", "frame": 3, "x1": 0.5, "y1": 0.5, "x2": 0.5, "y2": 1.0}
    assert call(take, "moved", 0, 9, 3.5) == 0 and call(take, "stands", 2, 0, 9) == 0
    assert "goes on from world" in capsys.readouterr().out
    for words in (("moved", 0, 10, 3.5), ("stands", 9, 0, 5), ("upright", -1, 0, 0, 0, 500)):
        assert call(take, *words) == 1
        assert "Traceback" not in (err := capsys.readouterr().err) and err.count("\n") <= 2
    assert len(load(take.folder).items) == 3


def test_command_line_of_those_who_were_seen(take, capsys):
    assert call(take, "add", 2) == 1 and "does not say who was seen" in capsys.readouterr().err
    people = [{"seen": n, "chosen": n < 3, "person": n if n < 3 else None, "frames": 5, "first": 0, "last": 4, "picture": ""} for n in (1, 2, 3, 4)]
    take.seen.write_text(json.dumps({"schema_version": 1, "people": people}))
    assert call(take, "seen") == 0 and capsys.readouterr().out.count("left out") == 2
    assert call(take, "add", 4) == 0 and "goes on from track" in capsys.readouterr().out
    assert load(take.folder).chosen() == ((), (4,)) and load(take.folder).chosen((1,)) == ((1,), (4,))
    for words in (("add", 4), ("add", 1), ("add", 9), ("only", 1, 9)):
        assert call(take, *words) == 1 and capsys.readouterr().err.count("\n") <= 2
    assert call(take, "only", 3, 1) == 0 and load(take.folder).chosen((2,)) == ((3, 1), ())
    assert call(take, "show") == 0 and "3, 1" in capsys.readouterr().out
    assert call(take, "split", 1, 4) == 0 and call(take, "add", 4) == call(take, "only", 1) == 1
    save(take.folder, load(take.folder))
    take.seen.write_text("[]")
    with pytest.raises(ShotError):
        take.read_seen()


def test_command_line(take, capsys):
    world = World(
        Camera(np.zeros((1, 4, 4)), np.zeros((1, 3, 3))),
        People(*(np.zeros((0, 1)) for _ in range(7))), 1.0, np.zeros((0, 3)), np.zeros((0, 1, 4)), "contacts",
        compose(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), [0, 0, 1.6]),
    )  # fmt: skip
    assert call(take, "ground", "lock") == 1 and "no ground yet" in capsys.readouterr().err
    save_record(take.stage("world"), world)
    assert call(take, "split", 1, 4) == 0
    assert call(take, "merge", 2, 4) == 0
    assert call(take, "swap", 1, 3, "--from", 3) == 0
    assert call(take, "delete", 3) == 0
    assert call(take, "height", 1, 1.82) == 0
    assert call(take, "focal", 35) == 0
    assert call(take, "ground", "lock") == 0
    out = capsys.readouterr().out
    assert "goes on from slam" in out and "goes on after track" in out and "goes on from body" in out
    c = load(take.folder)
    assert c.items[0] == {"do": "split", "person": 1, "frame": 4, "new": 4}
    assert c.heights() == {1: 1.82} and c.focal_mm == 35.0
    up, height = c.ground
    assert np.allclose(up, [0, -1, 0]) and height == pytest.approx(-1.6)
    assert call(take, "show") == 0 and len(capsys.readouterr().out.splitlines()) == 7
    assert call(take, "undo") == 0 and load(take.folder).ground is None
    assert call(take, "split", 2, 6) == 0 and load(take.folder).items[-1]["new"] == 5  # 4 was used before


def test_what_does_not_fit_leaves_the_file_alone(take, capsys):
    assert call(take, "delete", 2) == 0
    before = (take.folder / FILE).read_text()
    for words in (
        ("delete", 2),
        ("height", 2, 1.8),
        ("merge", 1, 7),
        ("split", 1, 99),
        ("height", 1, 182),
        ("focal", -1),
    ):
        assert call(take, *words) == 1
        assert capsys.readouterr().err.startswith("error: ")
        assert (take.folder / FILE).read_text() == before
    assert json.loads(before)["schema_version"] == 1
    (take.folder / "shot.json").unlink()
    assert call(take, "show") == 1


# -- in the picture


SQUARE = [[[0.1, 0.2], [0.3, 0.2], [0.3, 0.6], [0.1, 0.6]]]


def outline(person, frame, new=False):
    return "outline", {"person": person, "frame": frame, "new": new, "polygons": SQUARE}


def test_somebody_new_has_an_empty_row_that_other_corrections_know():
    result, labels = apply(outline(4, 2, new=True))
    assert result.ids.tolist() == [1, 2, 3, 4] and not result.visible[3].any() and np.isnan(result.boxes[3]).all()
    assert (labels == np.arange(256)).all()
    result, _ = apply(outline(4, 2, new=True), ("merge", {"keep": 2, "other": 4}))
    assert result.ids.tolist() == [1, 2, 3]
    nobody = tracks(people=0)
    assert apply(outline(1, 0, new=True), to=nobody)[0].ids.tolist() == [1]
    for wrong in (outline(2, 0, new=True), outline(7, 0), ("joint", {"person": 9, "frame": 0, "joint": "nose", "x": 0.5, "y": 0.5})):
        with pytest.raises(ShotError):
            apply(wrong)


def test_outlines_go_with_the_person():
    corrections = Corrections()
    for do, values in (
        outline(1, 2), outline(2, 8), outline(3, 5), ("swap", {"a": 1, "b": 2, "frame": 5}), ("delete", {"person": 3}),
        ("split", {"person": 1, "frame": 7, "new": 4}), outline(4, 9),
    ):  # fmt: skip
        corrections = corrections.with_item(do, **values)
    assert [(item["person"], item["frame"]) for item in corrections.in_the_picture("outline", 10)] == [(1, 2), (4, 8), (4, 9)]
    assert len(corrections.in_the_picture("outline", 9)) == 2  # of a take that was made longer
    assert corrections.key("edits") and corrections.key("track") == "" and not Corrections().key("edits")


def test_a_joint_that_is_shown_puts_the_wrong_one_to_silence():
    """The net has the wrist elsewhere in frames 3 to 6; the artist shows it in frame 4."""
    given = tracks(people=1)
    given.boxes[0] = [100, 100, 200, 300]
    given.keypoints_2d[0, :, 9] = [150, 200, 0.8]
    given.keypoints_2d[0, 3:7, 9, :2] = [150, 280]
    given.keypoints_3d[0, :, 9, 3] = 0.5
    corrections = Corrections().with_item("joint", person=1, frame=4, joint="left_wrist", x=0.15, y=0.4)
    said = Said()
    shown = show_joints(given, corrections, 1000, 500, said)
    assert shown.keypoints_2d[0, 4, 9].tolist() == [150, 200, 1]
    assert (shown.keypoints_2d[0, [3, 5, 6], 9, 2] == 0).all() and (shown.keypoints_3d[0, 3:7, 9, 3] == 0).all()
    others = [f for f in range(T) if f not in (3, 4, 5, 6)]
    assert (shown.keypoints_2d[0, others, 9] == given.keypoints_2d[0, others, 9]).all() and not said.warnings
    assert (np.delete(shown.keypoints_2d, 9, 2) == np.delete(given.keypoints_2d, 9, 2)).all()


def test_a_joint_of_somebody_who_is_not_seen_is_told():
    given = tracks(people=1, seen=np.array([[1] * 4 + [0] * 6]))
    said = Said()
    corrections = Corrections().with_item("joint", person=1, frame=7, joint="nose", x=0.5, y=0.5)
    shown = show_joints(given, corrections, 100, 100, said)
    assert (shown.keypoints_2d == given.keypoints_2d).all() and "not seen in frame 7" in said.warnings[0]


class Said:
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def test_who_was_split_or_swapped_is_settled():
    assert Corrections().settled() == set()
    told = Corrections().with_item("split", person=1, frame=4, new=4).with_item("merge", keep=2, other=5).with_item("swap", a=3, b=4, frame=2)
    assert told.settled() == {1, 3, 4}


def test_command_line_in_the_picture(take, tmp_path, capsys):
    take.write({"schema_version": 1, "people": [], "source": {"frames": T, "original_width": 200, "original_height": 100}})
    assert call(take, "outline", "new", 3, "--points", 20, 20, 60, 20, 60, 60) == 0
    assert load(take.folder).items[-1] == {"do": "outline", "person": 4, "frame": 3, "new": True, "polygons": [[[0.1, 0.2], [0.3, 0.2], [0.3, 0.6]]]}
    mask = np.zeros((50, 100), np.uint8)
    mask[10:30, 10:30] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert call(take, "outline", 4, 5, "--mask", tmp_path / "mask.png") == 0
    (polygon,) = load(take.folder).items[-1]["polygons"]
    assert np.ptp(polygon, axis=0) == pytest.approx([0.19, 0.38])
    assert call(take, "joint", 4, 5, "left_wrist", 40, 30) == 0
    assert load(take.folder).items[-1] == {"do": "joint", "person": 4, "frame": 5, "joint": "left_wrist", "x": 0.2, "y": 0.3}
    assert "goes on after track" in capsys.readouterr().out
    cv2.imwrite(str(tmp_path / "black.png"), mask * 0)
    for words in (
        ("outline", 4, 5, "--points", 1, 2, 3), ("outline", 9, 5, "--points", 20, 20, 60, 20, 60, 60), ("outline", 4, 50, "--points", 20, 20, 60, 20, 60, 60),
        ("outline", 4, 5, "--mask", tmp_path / "none.png"), ("outline", 4, 5, "--mask", tmp_path / "black.png"), ("joint", 4, 5, "tail", 4, 3),
        ("outline", 4, 5, "--points", 20, 20, 21, 20, 21, 21),
    ):  # fmt: skip
        assert call(take, *words) == 1
        assert "Traceback" not in (err := capsys.readouterr().err) and err.count("\n") <= 2
    assert len(load(take.folder).items) == 3
    assert call(take, "split", 1, 4) == 0 and load(take.folder).items[-1]["new"] == 5
