"""What lies on disk comes back as it was, whole or not at all."""

import json

import numpy as np
import pytest

from solver.protocol import JsonLines, Reporter, ShotError, Stopped
from solver.records import Camera, Film, load_record, save_record
from solver.skeleton import colour_of
from solver.take import Take, read_mask, write_mask


def film(frames=3):
    camera = Camera(np.eye(4)[None].repeat(frames, 0), np.eye(3)[None].repeat(frames, 0))
    return Film(camera, np.zeros((5, 3)), "start", {"points": 1.5}, {"points": 2.0}, np.zeros((0, 0)), ["joints"])


def test_record_round_trip(tmp_path):
    save_record(tmp_path / "film.npz", film())
    again = load_record(tmp_path / "film.npz", Film)
    assert again.heldout_start == {"points": 1.5} and again.used == "start" and again.loss_terms == ["joints"]
    assert np.array_equal(again.camera.T_world_from_cam, film().camera.T_world_from_cam)
    assert [p.name for p in tmp_path.iterdir()] == ["film.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no zip at all"])
def test_damaged_record_is_one_clear_error(tmp_path, content):
    (tmp_path / "film.npz").write_bytes(content)
    with pytest.raises(ShotError, match="cannot be read"):
        load_record(tmp_path / "film.npz", Film)


def test_mask_keeps_ids_and_colours(tmp_path):
    from PIL import Image

    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2:5] = 2
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P" and tuple(image.getpalette()[6:9]) == colour_of(2)


@pytest.mark.parametrize(
    ("text", "words"), [(None, "not a take"), ("{", "damaged"), ("[]", "not a shot"), ('{"schema_version": 99}', "newer")]
)
def test_what_is_no_take(tmp_path, text, words):
    if text is not None:
        (tmp_path / "shot.json").write_text(text)
    with pytest.raises(ShotError, match=words) as error:
        Take(tmp_path).read()
    assert error.value.fix


def test_reporter_stops_at_the_next_progress(capsys):
    import sys

    report = JsonLines(out=sys.stdout, stdin=None)
    report.begin("track")
    report.progress(1, 10, "x")
    report.warn("careful")
    report.warn("careful")
    report.stop.set()
    with pytest.raises(Stopped):
        report.progress(2, 10)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["progress", "warning"] and report.warnings == ["careful"]
    assert Reporter().warnings == []
