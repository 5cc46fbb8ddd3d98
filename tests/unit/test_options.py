"""What a run was asked for comes back from shot.json as it was."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from reshoot import jobs
from solver.__main__ import _parser
from solver.options import Options
from solver.pipeline import extract
from solver.protocol import Reporter, Stopped


def parsed(command):
    """Options of a command line of `extract`."""
    values = vars(_parser().parse_args(command))
    return Options(take=values["out"], **{k: v for k, v in values.items() if k not in ("command", "out", "json", "debug")})


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--range", "0-71", "--max-height", "360", "--focal-mm", "28", "--no-plate", "--quality", "preview", "--camera-kind", "turns", "--seed", "3"],
        ["--cuts", "24,80"],
        ["--inpainter", "python 'my paint.py' --fast"],
        ["--most", "3"],
        ["--only", "1", "4"],
        ["--cuts", "none"],
        ["--cut", "0", "--fps", "23.976", "--fov", "54.5", "--smpl", "/models", "--masks", "/m", "--joints", "/j.json"],
        ["--people", "/a b.pkl", "/c.npz", "--camera", "/cam.chan", "--device", "cuda"],
    ],
)
def test_the_same_run_can_be_asked_for_again(arguments):
    asked = parsed(["extract", "/films/a b.mp4", "--out", "/takes/t", *arguments])
    kept = json.loads(json.dumps(asked.to_json()))
    flags = {name: value for name, value in kept.items() if name not in ("source", "plate")}
    command = jobs.extract_command("python", kept["source"], "/takes/t", **flags, no_plate=not kept["plate"])
    assert parsed(command[3:]) == asked


def test_paths_are_absolute_and_what_holds_for_one_run_only_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = Options(Path("shot.mp4"), Path("take"), people=(Path("../a.pkl"),), restart=True, until="film").to_json()
    assert kept["source"] == str(tmp_path / "shot.mp4") and kept["people"] == [str(tmp_path.parent / "a.pkl")]
    assert not {"take", "restart", "until", "masks", "range"} & set(kept)


def test_shot_json_lists_the_options_from_the_first_stage_on(tmp_path):
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for value in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 * value, np.uint8), "rgb24")))
        container.mux(stream.encode())
    take = tmp_path / "take"
    take.mkdir()
    (take / "shot.json").write_text('{"schema_version": 1}')
    (take / "corrections.json").write_text('{"schema_version": 1, "corrections": [{"do": "focal", "mm": 40.0}]}')
    asked = Options(tmp_path / "film.mp4", take, range=(2, 9), plate=False, until="shot")
    with pytest.raises(Stopped):
        extract(asked, Reporter())
    kept = json.loads((take / "shot.json").read_text())["options"]
    assert kept == asked.to_json() and kept["range"] == "2-9"
    assert "focal_mm" not in kept  # the lens is a correction's, and may be taken back
