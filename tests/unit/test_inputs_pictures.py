"""Pictures as a screen shows them: turned and mirrored, interlaced, HDR and log, light, film scans, transparent."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from solver.protocol import Reporter
from solver.shot import screen
from solver.shot.shot import Frames, run
from tests.unit.test_inputs_time import slid
from tests.unit.test_shot import movie, options, picture

# (a b; c d) of a track header: x' = a x + c y, y' = b x + d y; and what numpy does to the stored picture.
MATRICES = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "90": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "180": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "270": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_whole_display_matrix(tmp_path, name):
    (a, b, c, d), expected = MATRICES[name]
    path = movie(tmp_path / "a.mp4", [picture(3)] * 3)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    shot = run(path, options(), Reporter())
    shown, right = Frames(shot).read(0).astype(float), expected(picture(3))
    assert shown.shape == right.shape == (shot.height, shot.width, 3)
    assert np.abs(shown - right).mean() < 8
    assert shot.conformed == (name != "upright")  # programs differ in what they turn: the take holds a film as it was solved


def woven(k, first=0):
    """An interlaced picture: each field shows the moving picture at a time of its own."""
    out = slid(2 * k).copy()
    out[1 - first :: 2] = slid(2 * k + 1)[1 - first :: 2]
    return out


@pytest.mark.parametrize("flagged", [True, False])
def test_interlaced_film_shows_its_first_field(tmp_path, flagged):
    """Whether the file says so or not. What is left is a picture of one time, not a comb."""
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("mpeg2video" if flagged else "ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        if flagged:
            stream.bit_rate, stream.options = 20_000_000, {"flags": "+ildct+ilme"}
        for k in range(20):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(woven(k), format="rgb24")))
        out.mux(stream.encode(None))
    report = Reporter()
    shot = run(tmp_path / "a.mkv", options(), report)
    assert shot.interlaced and any("interlaced" in w for w in report.warnings)
    frames = Frames(shot)
    for k in (3, 11):
        off = [np.abs(frames.gray(k).astype(float) - cv2.cvtColor(slid(n), cv2.COLOR_RGB2GRAY)).mean() for n in (2 * k, 2 * k + 1)]
        assert off[0] < 0.7 * off[1]


def test_hard_telecine_gives_the_film_back(tmp_path):
    """24 pictures in 60 fields a second: of every five pictures two are woven from two."""
    fields = [k for k in range(24) for _ in range(2 + k % 2)]
    pairs = [(fields[n], fields[n + 1]) for n in range(0, len(fields) - 1, 2)]
    pictures = []
    for top, bottom in pairs:
        out = slid(top).copy()
        out[1::2] = slid(bottom)[1::2]
        pictures.append(out)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for image in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    shot = run(tmp_path / "a.mkv", options(), Reporter())
    assert shot.interlaced and shot.fps == "24000/1001"
    assert [pairs[p][0] for p in shot.picture] == sorted({top for top, _ in pairs})


def test_fine_lines_that_stand_are_no_fields(tmp_path):
    """Blinds, a scarf, a brick wall: lines, but in no two times."""
    for k in range(12):
        image = slid(k)
        image[20:60:2] = (0.6 * image[20:60:2]).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{k:03d}.png"), cv2.GaussianBlur(image, (0, 0), 0.6)[..., ::-1])
    shot = run(tmp_path, options(), Reporter())
    assert not shot.interlaced


def coded(light, transfer):
    """Light, 1 at diffuse white, as PQ or HLG have it (ST 2084; BT.2100 for a screen of 1000 cd/m2)."""
    if transfer == screen.PQ:
        y = (light * 203 / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    luminance = (light @ np.array([0.2627, 0.678, 0.0593]) * 203 / 1000) ** (1 / 1.2)
    scene = light * 203 / 1000 / np.maximum(luminance, 1e-9)[..., None] ** 0.2
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073)


@pytest.mark.parametrize("transfer", [screen.PQ, screen.HLG])
def test_hdr_below_white_is_the_plain_picture_and_above_it_is_rolled_off(transfer):
    grey = np.linspace(0.01, 0.75, 40)
    shown = screen.shown(coded(np.repeat(grey[None, :, None], 3, 2), transfer).astype(np.float32), transfer)
    assert np.abs(shown[0].astype(float) - 255 * (1.055 * grey[:, None] ** (1 / 2.4) - 0.055)).max() < 2.5
    bright = screen.shown(coded(np.array([[[0.9] * 3, [2.0] * 3, [4.5] * 3]]), transfer).astype(np.float32), transfer)[0, :, 0]
    assert 225 < bright[0] < bright[1] <= bright[2] <= 255


@pytest.mark.parametrize(("transfer", "codec"), [(screen.PQ, "libx265"), (screen.HLG, "libx265"), (screen.HLG, "ffv1"), (screen.LOG100, "ffv1")])
def test_a_tagged_movie_is_shown_as_a_screen_would(tmp_path, transfer, codec):
    """10 bits, tagged: the solver sees the plain picture again, not the flat one."""
    plain = cv2.GaussianBlur(slid(0), (0, 0), 4).astype(np.float64) / 255 * 0.8
    light = np.where(plain < 0.04045, plain / 12.92, ((plain + 0.055) / 1.055) ** 2.4)
    code = 1 + np.log10(np.maximum(light, 0.01)) / 2 if transfer == screen.LOG100 else coded(light, transfer)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p10le" if codec == "libx265" else "gbrp10le"
        stream.codec_context.color_trc = transfer
        if codec == "libx265":
            stream.options = {"crf": "5", "x265-params": "log-level=none"}
        for k in range(4):
            frame = av.VideoFrame.from_ndarray(np.rint(code * 65535).astype(np.uint16), format="rgb48le")
            frame.color_trc = transfer
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    report = Reporter()
    shot = run(tmp_path / "a.mkv", options(), report)
    assert shot.transfer and any("as a screen would show them" in w for w in report.warnings)
    assert np.median(np.abs(Frames(shot).read(1).astype(float) - 255 * plain)) < 6


def write_dpx(path, rgb):
    codec = av.CodecContext.create("dpx", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = rgb.shape[1], rgb.shape[0], "gbrp10le", Fraction(1, 24)
    frame = av.VideoFrame.from_ndarray(rgb.astype(np.uint16) * 257, format="rgb48le").reformat(format="gbrp10le")
    path.write_bytes(b"".join(bytes(p) for p in codec.encode(frame) + codec.encode(None)))


@pytest.mark.parametrize("kind", ["exr", "half exr", "dpx", "16 bit tiff", "float tiff", "16 bit png"])
def test_folders_of_what_compositors_write(tmp_path, kind):
    """The same picture out of every format, to a level or two."""
    ending = kind.split()[-1].replace("tiff", "tif")
    for k in range(3):
        rgb = picture(k)
        code = rgb / 255
        light = np.where(code < 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)
        path = tmp_path / f"shot.{1001 + k}.{ending}"
        if kind == "dpx":
            write_dpx(path, rgb)
        elif ending == "exr":
            cv2.imwrite(str(path), light[..., ::-1], [cv2.IMWRITE_EXR_TYPE, cv2.IMWRITE_EXR_TYPE_HALF] if "half" in kind else [])
        elif kind == "float tiff":
            cv2.imwrite(str(path), light[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
        else:
            cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 257)
    report = Reporter()
    shot = run(tmp_path, options(), report)
    assert (shot.frames, shot.first_number) == (3, 1001)
    below = picture(1).max(-1) < 225  # of light, what is brighter is rolled off
    assert np.abs(Frames(shot).read(1).astype(float) - picture(1))[below].max() <= 2
    assert any("linear light" in w for w in report.warnings) == (ending == "exr" or kind == "float tiff")


def test_light_beyond_white_and_no_numbers_are_shown(tmp_path):
    image = np.full((48, 64, 3), 0.18, np.float32)
    image[:24] = 50.0
    image[40:] = np.nan
    cv2.imwrite(str(tmp_path / "1.exr"), image)
    shown = Frames(run(tmp_path, options(), Reporter())).read(0)
    assert shown[0, 0, 0] >= 250 and abs(int(shown[30, 0, 0]) - 118) <= 1 and shown[44, 0, 0] == 0


def test_what_is_transparent_is_black(tmp_path):
    rgba = np.dstack([picture(0)[..., ::-1], np.full((48, 64), 255, np.uint8)])
    rgba[:20, :, 3] = 0
    cv2.imwrite(str(tmp_path / "1.png"), rgba)
    shown = Frames(run(tmp_path, options(), Reporter())).read(0)
    assert not shown[:20].any() and np.array_equal(shown[20:], picture(0)[20:])
