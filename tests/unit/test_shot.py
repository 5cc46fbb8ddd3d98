"""The shot stage on small clips made here: what cameras, exporters and interrupted copies do to files."""

from __future__ import annotations

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from solver.protocol import Reporter, ShotError
from solver.shot.shot import CutFinder, Frames, run


def options(**given):
    return SimpleNamespace(**({"cut": None, "range": None, "max_height": None, "fps": None, "cuts": "auto"} | given))


def picture(index, width=64, height=48, scene=0):
    """A scene of its own colours with a bright bar at column 3 * index: the bar tells the frame's number."""
    rng = np.random.default_rng(scene)
    small = rng.integers(20, 160, (12, 16, 3), np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    x = (3 * index) % (width - 4)
    image[:, x : x + 4] = 250
    return image


def movie(path, pictures, times=None, rate=24, codec="mpeg4", container=None, **settings):
    """Write pictures (RGB); `times` are presentation times in 1/1000 s. Returns path."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.bit_rate = 4_000_000
        for key, value in settings.items():
            setattr(stream.codec_context, key, value)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for k, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[k], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def bar(image):
    """Column of the bright bar."""
    return int(np.argmax(np.convolve(image.astype(float).sum((0, 2)), np.ones(4), "valid")))


def test_plain_movie(tmp_path):
    path = movie(tmp_path / "a.mp4", [picture(k) for k in range(12)])
    report = Reporter()
    shot = run(path, options(), report)
    assert (shot.width, shot.height, shot.frames, shot.fps) == (64, 48, 12, "24/1")
    assert shot.pieces == [[0, 12]] and report.warnings == []
    assert np.allclose(shot.time_s, np.arange(12) / 24, atol=1e-4)
    assert [bar(image) for image in Frames(shot)] == pytest.approx([3 * k for k in range(12)], abs=1)


def test_random_access_equals_iteration(tmp_path):
    """Long groups with B-frames: a jump must land on the very frame that iteration gives."""
    path = movie(tmp_path / "a.mp4", [picture(k) for k in range(160)], codec="libx264", gop_size=40, max_b_frames=2)
    shot = run(path, options(range=(5, 154)), Reporter())
    inorder = [image.copy() for image in Frames(shot)]
    assert len(inorder) == 150
    frames = Frames(shot, cache_bytes=5 * 64 * 48 * 3)
    for index in [149, 3, 148, 147, 146, 60, 61, 62, 120, 0, *np.random.default_rng(0).integers(0, 150, 40)]:
        assert np.array_equal(frames.read(int(index)), inorder[index]), index


def test_one_pass_and_bounded_memory(tmp_path):
    path = movie(tmp_path / "a.mp4", [picture(k) for k in range(100)])
    shot = run(path, options(), Reporter())
    frames = Frames(shot, cache_bytes=10 * 64 * 48 * 3)
    passes = []
    decode = frames._source.decode
    frames._source.decode = lambda *args: passes.append(args) or decode(*args)
    for _ in frames:
        assert len(frames._cache) <= 10
    assert len(passes) == 1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata(tmp_path, degrees):
    """A phone held upright stores a turned picture and a matrix in the track header."""
    path = movie(tmp_path / "a.mp4", [picture(0)] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    c, s = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data[matrix : matrix + 36] = struct.pack(">9i", c << 16, s << 16, 0, -s << 16, c << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    shot = run(path, options(), Reporter())
    upright = Frames(shot).read(0)
    assert upright.shape == (shot.height, shot.width, 3)
    # The matrix (a b; c d) maps x' = a x + c y: 90 is the clockwise turn that players apply.
    expected = np.rot90(picture(0), -degrees // 90)
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(float) - expected).mean() < 8


def test_odd_size_and_max_height(tmp_path):
    path = movie(tmp_path / "a.mkv", [picture(k, 63, 47) for k in range(4)], codec="ffv1", pix_fmt="bgr0")
    shot = run(path, options(), Reporter())
    assert (shot.width, shot.height) == (63, 47)
    assert np.array_equal(Frames(shot).read(2), picture(2, 63, 47))
    shot = run(path, options(max_height=24), Reporter())
    assert (shot.width, shot.height, shot.original_width, shot.original_height) == (32, 24, 63, 47)
    assert Frames(shot).read(0).shape == (24, 32, 3)


def test_anamorphic_pixels_become_square(tmp_path):
    path = movie(tmp_path / "a.mkv", [picture(k) for k in range(4)], sample_aspect_ratio=Fraction(2, 1))
    shot = run(path, options(), Reporter())
    assert (shot.width, shot.height) == (128, 48)
    assert Frames(shot).read(0).shape == (48, 128, 3)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
def test_sequence_in_natural_order(tmp_path, extension):
    folder = tmp_path / "plätze"
    folder.mkdir()
    for k in range(8, 14):
        data = cv2.imencode("." + extension, picture(k)[..., ::-1])[1]
        (folder / f"shot_{k}.{extension}").write_bytes(data.tobytes())
    (folder / "notes.txt").write_text("not a picture")
    for chosen in (folder, folder / f"shot_10.{extension}"):
        shot = run(chosen, options(fps=25), Reporter())
        assert (shot.frames, shot.fps, shot.path) == (6, "25/1", str(folder))
        assert [bar(image) for image in Frames(shot)] == pytest.approx([3 * k for k in range(8, 14)], abs=1)
        assert bar(Frames(shot).read(4)) == pytest.approx(36, abs=1)


def test_sequence_gap_and_second_series(tmp_path):
    for k in (1, 2, 5):
        cv2.imwrite(str(tmp_path / f"a.{k:03d}.png"), picture(k)[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.001.png"), picture(9)[..., ::-1])
    report = Reporter()
    shot = run(tmp_path, options(), report)
    assert (shot.frames, shot.first_number) == (5, 1)
    assert shot.picture.tolist() == [0, 1, 1, 1, 2] and shot.fresh.tolist() == [True, True, False, False, True]
    assert any("2 pictures are missing" in w and "(3-4)" in w for w in report.warnings)
    other = run(tmp_path / "b.001.png", options(), Reporter())
    assert other.frames == 1 and bar(Frames(other).read(0)) == 27


def test_sequence_of_two_sizes(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), picture(0))
    cv2.imwrite(str(tmp_path / "2.png"), picture(0, 32, 48))
    with pytest.raises(ShotError, match="2.png is 32 x 48"):
        run(tmp_path, options(), Reporter())


def test_cut_splits_and_longest_wins(tmp_path):
    images = [picture(k) for k in range(20)] + [picture(k, scene=7) for k in range(30)]
    path = movie(tmp_path / "a.mp4", images)
    report = Reporter()
    shot = run(path, options(), report)
    assert shot.pieces == [[0, 20], [20, 50]]
    assert (shot.start_frame, shot.frames) == (20, 30)
    assert any("1 cut" in w for w in report.warnings)
    assert [bar(image) for image in Frames(shot)][:10] == pytest.approx([3 * k for k in range(10)], abs=1)
    first = run(path, options(cut=0), Reporter())
    assert (first.start_frame, first.frames) == (0, 20)
    with pytest.raises(ShotError, match="no piece 2"):
        run(path, options(cut=2), Reporter())
    part = run(path, options(range=(22, 30)), Reporter())
    assert (part.start_frame, part.frames) == (22, 9)
    assert bar(Frames(part).read(0)) == pytest.approx(6, abs=1)
    with pytest.raises(ShotError, match="frames 0 to 49"):
        run(path, options(range=(10, 50)), Reporter())
    report = Reporter()
    across = run(path, options(range=(15, 40)), report)
    assert (across.start_frame, across.frames) == (20, 21)
    assert any("contains a cut" in w for w in report.warnings)


def find(images):
    finder = CutFinder()
    for image in images:
        finder.add(image)
    return finder.finish()


@pytest.mark.parametrize("at", [1, 2, 15, 38, 39])
def test_cut_anywhere_even_at_the_ends(at):
    images = [picture(k, scene=1) for k in range(at)] + [picture(k, scene=2) for k in range(40 - at)]
    assert find(images) == [(at, at)]


def test_a_flash_and_a_whip_pan_are_no_cuts():
    images = [picture(k) for k in range(30)]
    images[14] = np.clip(images[14].astype(int) + 140, 0, 255).astype(np.uint8)
    assert find(images) == []
    wide = cv2.resize(np.random.default_rng(3).integers(0, 200, (6, 60, 3), np.uint8), (900, 48))
    xs = [0] * 10 + [int(400 - 400 * np.cos(np.pi * t)) for t in np.linspace(0, 1, 40)] + [800] * 10
    assert np.diff(xs).max() > 30  # of 80 columns a frame
    assert find([np.ascontiguousarray(wide[:, x : x + 80]) for x in xs]) == []


def test_missing_file(tmp_path):
    with pytest.raises(ShotError, match="no file") as error:
        run(tmp_path / "nothing.mp4", options(), Reporter())
    assert error.value.fix


def test_text_named_mp4(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("this is no movie\n" * 200)
    with pytest.raises(ShotError, match="cannot be read as a movie") as error:
        run(path, options(), Reporter())
    assert error.value.fix


def test_empty_folder_and_damaged_pictures(tmp_path):
    with pytest.raises(ShotError, match="holds no pictures"):
        run(tmp_path, options(), Reporter())
    for name in ("a.exr", "b.dpx", "c.png"):
        (tmp_path / name).write_bytes(b"\x76\x2f\x31\x01")
        with pytest.raises(ShotError, match=f"{name} cannot be read"):
            run(tmp_path / name, options(), Reporter())


def test_truncated_movie_gives_what_is_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 64, (60, 48, 64, 3), np.uint8)
    images = [np.maximum(n, picture(k)) for k, n in enumerate(noise)]
    path = movie(tmp_path / "index_at_end.mp4", images)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ShotError, match="cannot be read"):
        run(path, options(), Reporter())
    for name in ("index_first.mp4", "a.mkv"):
        path = movie(tmp_path / name, images, container={"movflags": "faststart"} if name.endswith("mp4") else {})
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        report = Reporter()
        shot = run(path, options(), report)
        assert 10 < shot.frames < 50
        assert any("cut short" in w for w in report.warnings)
        assert len(list(Frames(shot))) == shot.frames


def test_sound_only(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(ShotError, match="no picture"):
        run(path, options(), Reporter())


def test_no_frames(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.start_encoding()
    with pytest.raises(ShotError, match="no readable frame|cannot be read|no picture"):
        run(tmp_path / "a.mkv", options(), Reporter())


def test_one_frame(tmp_path):
    report = Reporter()
    shot = run(movie(tmp_path / "a.mp4", [picture(0)]), options(), report)
    assert shot.frames == 1 and len(list(Frames(shot))) == 1
    assert any("one frame" in w for w in report.warnings)
