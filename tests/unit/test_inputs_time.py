"""Time: holes, repeats, clocks that shake, numbered pictures. Clips are made here, of a picture that slides a known way."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from solver.options import Options
from solver.pipeline import extract
from solver.protocol import Reporter, Stopped
from solver.records import Shot, load_record
from solver.shot import repeats, times
from solver.shot.shot import Frames, run
from solver.take import Take, write_results
from tests.unit.test_report import make_take
from tests.unit.test_shot import bar, movie, options, picture


@pytest.mark.parametrize(
    ("rate", "unit"), [("24", 1 / 12288), ("24000/1001", 1e-3), ("30000/1001", 1 / 90000), ("25", 1e-3), ("60", 1e-3)]
)
def test_the_rate_is_the_step_that_nearly_all_pictures_keep(rate, unit):
    """Whatever the container rounds to, and however many pictures are missing."""
    rate = Fraction(rate)
    kept = np.array([n for n in range(200) if n % 5 != 2 and not 60 < n < 70])
    seen = np.round(kept / float(rate) / unit) * unit
    grid = times.lay_out(seen, [], unit)
    assert grid.rate == rate and grid.breaks == []
    assert np.array_equal(grid.number, kept)


def test_a_shaking_clock_keeps_its_pictures_in_order():
    """A phone: 29.97 on the mean, each picture up to a third of a step early or late."""
    rng = np.random.default_rng(1)
    seen = (np.arange(300) + rng.uniform(-0.33, 0.33, 300)) * 1001 / 30000
    grid = times.lay_out(seen, [Fraction(30000, 1001)])
    assert float(grid.rate) == pytest.approx(30000 / 1001, rel=2e-3)
    assert np.abs(grid.number / float(grid.rate) - seen).max() < 1.3 / 30
    assert (grid.number >= 0).all() and (np.diff(grid.number) >= 1).all()


def test_a_picture_too_many_is_left_out_and_a_long_hole_parts():
    grid = times.lay_out(np.array([0, 1, 2, 2.1, 2.2, 3, 4, 100, 101, 102]) / 24)
    assert grid.number.tolist() == [0, 1, 2, 3, -1, 4, 5, 100, 101, 102]
    assert grid.breaks == [7]


def test_holes_are_frames_that_show_the_picture_before(tmp_path):
    number = [0, 1, 3, 4, 5, 9, 10, 11, 12]
    path = movie(tmp_path / "a.mkv", [picture(k) for k in number], times=[round(n * 1000 / 24) for n in number])
    report = Reporter()
    shot = run(path, options(), report)
    assert (shot.fps, shot.frames, shot.conformed) == ("24/1", 13, True)
    assert np.allclose(shot.time_s, np.arange(13) / 24)
    assert np.flatnonzero(~shot.fresh).tolist() == [2, 6, 7, 8]
    shown = [0, 1, 1, 3, 4, 5, 5, 5, 5, 9, 10, 11, 12]
    assert [bar(image) for image in Frames(shot)] == pytest.approx([3 * k for k in shown], abs=1)
    assert any("(2, 6-8)" in w for w in report.warnings)


def test_variable_rate_jumps_land_on_the_very_picture(tmp_path):
    number = [n for n in range(200) if n % 7 not in (3, 4)]
    path = movie(tmp_path / "a.mp4", [picture(k) for k in number], codec="libx264", times=[round(n * 1000 / 30) for n in number], gop_size=30)
    shot = run(path, options(range=(20, 180)), Reporter())
    inorder = [image.copy() for image in Frames(shot)]
    frames = Frames(shot, cache_bytes=4 * 64 * 48 * 3)
    for index in np.random.default_rng(0).integers(0, shot.frames, 30):
        assert np.array_equal(frames.read(int(index)), inorder[index]), index


def test_a_film_without_a_rate_says_so(tmp_path):
    at = np.cumsum([0, *np.random.default_rng(3).integers(20, 200, 40)])
    report = Reporter()
    run(movie(tmp_path / "a.mkv", [picture(k) for k in range(41)], times=at.tolist()), options(), report)
    assert any("no steady frame rate" in w for w in report.warnings)


def slid(k, width=160, height=90):
    """A detailed picture that slides by 3 px for every picture of a film; grain is each picture's own."""
    rng = np.random.default_rng(0)
    wide = cv2.resize(rng.integers(20, 220, (height // 3, 400, 3), np.uint8), (1200, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(k).normal(0, 2, (height, width, 3))
    return np.clip(wide[:, 3 * k : 3 * k + width] + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("shown", "true", "pattern"),
    [
        ("30", "24", lambda k: k * 4 // 5),  # film laid into 30
        ("30000/1001", "24000/1001", lambda k: k * 4 // 5),  # its video cousin
        ("25", "24", lambda k: k * 24 // 25),  # one in twenty-five
        ("60", "24", lambda k: k * 2 // 5),  # 3:2
        ("24", "12", lambda k: k // 2),  # slow motion by repeats, animation on twos
        ("60", "30", lambda k: k // 2),  # a screen recorder
        ("30", "25", lambda k: k * 5 // 6),
    ],
)  # fmt: skip
def test_a_steady_pulldown_is_taken_out(tmp_path, shown, true, pattern):
    """Also after lossy compression: what is left is every picture once, at the rate at which the camera took them."""
    count = 100
    path = movie(tmp_path / "a.mp4", [slid(pattern(k)) for k in range(count)], rate=Fraction(shown), codec="libx264")
    report = Reporter()
    shot = run(path, options(), report)
    taken = sorted({pattern(k) for k in range(count)})
    assert Fraction(shot.fps) == Fraction(true) and Fraction(shot.source_fps) == Fraction(shown)
    assert [pattern(p) for p in shot.picture] == taken
    assert shot.fresh.all() and shot.conformed
    assert np.allclose(np.diff(shot.time_s), 1 / float(Fraction(true)))
    assert any("show the one before again" in w for w in report.warnings)


def test_dropped_pictures_filled_with_the_last_are_holes(tmp_path):
    """A recorder that could not follow: time goes on, the picture does not."""
    show = list(range(60))
    for k in (11, 12, 30, 47):
        show[k] = show[k - 1]
    report = Reporter()
    shot = run(movie(tmp_path / "a.mp4", [slid(k) for k in show], codec="libx264"), options(), report)
    assert (shot.fps, shot.frames) == ("24/1", 60)
    assert np.flatnonzero(~shot.fresh).tolist() == [11, 12, 30, 47]
    assert any("11-12, 30, 47" in w for w in report.warnings)


@pytest.mark.parametrize("steps", [[1] * 60, [0] * 60, [0] * 20 + [1] * 20 + [0] * 20, [1] * 20 + [0] * 20 + [1] * 20])
def test_a_plain_film_repeats_nothing(tmp_path, steps):
    """A pan, a locked-off camera, one that waits and goes, one that pauses: nothing of that is a repeat."""
    at = np.cumsum(steps)
    pictures = [slid(int(p)).astype(int) + np.random.default_rng(k).integers(-3, 4, (90, 160, 1)) for k, p in enumerate(at)]
    shot = run(movie(tmp_path / "a.mp4", [np.clip(p, 0, 255).astype(np.uint8) for p in pictures], codec="libx264"), options(), Reporter())
    assert shot.fresh.all() and shot.fps == "24/1" and shot.frames == 60


def test_who_walks_before_a_still_camera_is_seen_to_repeat():
    """Few pixels move; the beat is heard all the same."""
    pictures = []
    for k in range(50):
        grey = np.full((90, 160), 90, np.uint8)
        x = 10 + 2 * (k * 4 // 5)
        grey[40:52, x : x + 6] = 200
        pictures.append(grey)
    changes = [0.0] + [repeats.change(a, b) for a, b in pairwise(pictures)]
    again, told = repeats.repeated(changes)
    assert repeats.beat(again, told).sum() == 1 and len(repeats.beat(again, told)) == 5


@pytest.mark.parametrize("extension", ["png", "exr"])
def test_numbered_pictures_keep_their_numbers(tmp_path, extension):
    for n in (1001, 1002, 1004, 1005, 1009):
        image = picture(n - 1001)[..., ::-1]
        cv2.imencode("." + extension, image.astype(np.float32) / 255 if extension == "exr" else image)[1].tofile(str(tmp_path / f"s_{n}.{extension}"))
    report = Reporter()
    shot = run(tmp_path, options(fps=24), report)
    assert (shot.first_number, shot.start_frame, shot.frames) == (1001, 0, 9)
    assert np.flatnonzero(~shot.fresh).tolist() == [2, 5, 6, 7]
    assert any("1003, 1006-1008" in w for w in report.warnings)
    part = run(tmp_path, options(fps=24, range=(3, 8)), Reporter())
    assert (part.first_number, part.start_frame, part.frames) == (1004, 3, 6)
    assert bar(Frames(part).read(5)) == pytest.approx(bar(picture(8)), abs=1)


def test_every_tenth_number_is_a_plain_sequence_and_a_long_hole_a_cut(tmp_path):
    for k in range(6):
        cv2.imwrite(str(tmp_path / f"a_{100 + 10 * k}.png"), picture(k))
        cv2.imwrite(str(tmp_path / f"b.{1 + k + (60 if k > 3 else 0):04d}.png"), picture(k))
    tens = run(tmp_path / "a_120.png", options(range=(2, 5)), Reporter())
    assert (tens.frames, tens.first_number, tens.conformed) == (4, 120, True) and tens.fresh.all()
    report = Reporter()
    parts = run(tmp_path / "b.0001.png", options(), report)
    assert parts.pieces == [[0, 4], [64, 66]] and parts.frames == 4 and not parts.conformed
    assert run(tmp_path / "b.0001.png", options(cut=1), Reporter()).first_number == 65


def test_edit_list_and_timecode(tmp_path):
    """What an edit list hides is no part of the film; a start timecode is kept."""
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["timecode"] = "01:00:00:10"
        for k in range(30):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k), format="rgb24")))
        out.mux(stream.encode(None))
    shot = run(path, options(range=(5, 20)), Reporter())
    assert shot.timecode == "01:00:00:10" and shot.first_number == 3600 * 25 + 10 + 5
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # version, flags, count; then duration, media time, rate
    media = int.from_bytes(data[entry + 4 : entry + 8], "big")
    scale = run(path, options(), Reporter()).frames
    assert scale == 30
    with av.open(str(path)) as file:
        step = round(1 / 25 / file.streams.video[0].time_base)
    data[entry + 4 : entry + 8] = (media + 10 * step).to_bytes(4, "big")
    path.write_bytes(data)
    hidden = run(path, options(), Reporter())
    assert hidden.frames == 20 and hidden.time_s[0] == 0
    assert bar(Frames(hidden).read(0)) == pytest.approx(bar(picture(10)), abs=1)


@pytest.mark.parametrize(
    ("text", "rate", "frames"),
    [
        ("00:00:10:05", "24", 245),
        ("01:00:00;00", "30000/1001", 107892),
        ("00:01:00;02", "30000/1001", 1800),
        ("10:00:00:00", "25", 900000),
        ("x", "24", None),
    ],
)
def test_timecode_in_frames(text, rate, frames):
    assert times.timecode_frames(text, Fraction(rate)) == frames


def test_a_take_holds_its_times_and_a_film_on_its_frames(tmp_path):
    """From the command line on: numbers of holes in shot.json, and a film.mp4 that can lie behind the camera frame for frame."""
    number = [0, 1, 3, 4, 5, 9, 10, 11, 12]
    path = movie(tmp_path / "a.mkv", [picture(k, 96, 64) for k in number], times=[round(n * 1000 / 24) for n in number])
    with pytest.raises(Stopped):
        extract(Options(path, tmp_path / "take", until="shot", max_height=64), Reporter())
    source = Take(tmp_path / "take").read()["source"]
    assert source["unmeasured"] == [2, 6, 7, 8] and source["frames"] == 13 and source["conformed"]
    shot = load_record(tmp_path / "take" / "stages" / "shot.npz", Shot)
    assert np.allclose(shot.time_s, np.arange(13) / 24) and shot.fresh.sum() == 9
    with av.open(str(tmp_path / "take" / "film.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 24
    assert [bar(f) for f in frames] == pytest.approx([bar(f) for f in Frames(shot)], abs=1)


def test_people_and_camera_of_a_take_say_when(tmp_path):
    take = make_take(tmp_path, people=1)
    take.shot.time_s = 2 + np.arange(take.shot.frames) / 24
    take.shot.fresh[2] = False
    joints = np.zeros((1, take.shot.frames, 24, 3))
    write_results(Take(tmp_path), take.world, take.tracks, take.start.camera, "reshoot", take.shot, joints, np.zeros((50, 3), np.uint8))
    with np.load(tmp_path / "camera.npz") as camera, np.load(tmp_path / "people" / "01.npz") as person:
        assert np.array_equal(camera["time_s"], take.shot.time_s) and np.flatnonzero(~camera["measured"]).tolist() == [2]
        assert np.array_equal(person["time_s"], take.shot.time_s[person["frame"]])
        assert person["mocap_frame_rate"] == 24
