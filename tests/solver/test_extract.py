"""The command line as an artist or Blender uses it: a real shot, bad input, stopping and going on."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from solver.records import Tracks, load_record
from solver.take import read_mask

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "shot.mp4"


def extract(*arguments, **kwargs):
    command = [sys.executable, "-m", "solver", "extract", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False, **kwargs
    )


def write_movie(path, pictures):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """The first frames of the example, solved small."""
    folder = tmp_path_factory.mktemp("solved") / "take"
    run = extract(EXAMPLE, "--out", folder, "--range", "0-23", "--max-height", "270", "--quality", "preview")
    assert run.returncode == 0, run.stderr
    return folder, [json.loads(line) for line in run.stdout.splitlines()]


def test_take_is_whole(take):
    folder, messages = take
    shot = json.loads((folder / "shot.json").read_text())
    assert shot["schema_version"] == 1 and shot["verdict"] == "full" and shot["source"]["frames"] == 24
    assert [p["id"] for p in shot["people"]] == [1]
    assert all(stage["status"] == "done" for stage in shot["stages"].values()) and len(shot["stages"]) == 12
    assert [(p["person"], p["chosen"]) for p in json.loads((folder / "seen.json").read_text())["people"]] == [(1, True)]
    with np.load(folder / "camera.npz") as camera:
        T, K = camera["T_world_from_cam"], camera["K"]
        assert T.shape == (24, 4, 4) and T.dtype == np.float64 and K.shape == (24, 3, 3)
        assert camera["start_T_world_from_cam"].shape == (24, 4, 4)
    with np.load(folder / "people" / "01.npz") as person:
        F = len(person["frame"])
        assert person["poses"].shape == (F, 72) and person["trans"].shape == (F, 3) and person["betas"].shape == (10,)
        assert person["joints_world"].shape == (F, 24, 3) and person["joints_2d"].shape == (F, 24, 3)
        feet = person["joints_world"][:, [10, 11], 2].min(1)
        assert -0.1 < np.median(feet) < 0.15  # somebody walks on z = 0
    overlap = []
    for index in range(24):
        seen, solved = read_mask(folder / "masks" / f"{index:06d}.png") == 1, read_mask(folder / "solved" / f"{index:06d}.png") == 1
        overlap.append((seen & solved).sum() / (seen | solved).sum())
    assert np.mean(overlap) > 0.65
    for name in ("points.npz", "report.json", "report.html", "preview.mp4", "plate/plate.mp4", "plate/000000.png", "plate/unseen/000023.png"):
        assert (folder / name).stat().st_size > 0
    assert not list(folder.rglob("*.part"))
    assert {m["type"] for m in messages} >= {"progress", "result", "warning"}


def test_second_run_resumes(take):
    folder, _ = take
    before = {p: p.stat().st_mtime_ns for p in (folder / "stages").glob("*.npz") if p.stem != "shot"}
    run = extract(EXAMPLE, "--out", folder, "--range", "0-23", "--max-height", "270", "--quality", "preview")
    assert run.returncode == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_who_was_lost_is_followed_from_an_outline(take, tmp_path):
    """The walker is thrown out and outlined again in one frame: masks and joints come back in all, and undoing all leaves the masks of before."""
    folder = shutil.copytree(take[0], tmp_path / "take")
    masks = lambda: [read_mask(folder / "stages" / "outlined" / f"{i:06d}.png") for i in range(24)]
    tracked = [read_mask(folder / "stages" / "masks" / f"{i:06d}.png") == 1 for i in range(24)]
    cv2.imwrite(str(tmp_path / "white.png"), 255 * tracked[12].astype(np.uint8))

    def correct(*words):
        return subprocess.run([sys.executable, "-m", "solver", "take", str(folder), *words], cwd=ROOT, capture_output=True, text=True, check=True)

    again = lambda: extract(EXAMPLE, "--out", folder, "--range", "0-23", "--max-height", "270", "--quality", "preview", "--until", "edits")
    correct("delete", "1")
    correct("outline", "new", "12", "--mask", str(tmp_path / "white.png"))
    assert (run := again()).returncode == 3, run.stderr  # it stops where it was told to
    found = load_record(folder / "stages" / "edits.npz", Tracks)
    assert found.ids.tolist() == [2] and found.visible.all() and found.source[0, 12] == 1
    overlap = [((mask == 2) & before).sum() / ((mask == 2) | before).sum() for mask, before in zip(masks(), tracked)]
    assert np.mean(overlap) > 0.8 and min(overlap) > 0.6
    assert (found.keypoints_2d[0, :, 5:13, 2] > 0.3).mean() > 0.8
    for _ in range(2):
        correct("undo")
    assert again().returncode == 3 and not (folder / "stages" / "outlined").exists()
    assert all(((read_mask(folder / "masks" / f"{i:06d}.png") == 1) == before).all() for i, before in enumerate(tracked))


def test_closing_stdin_stops_within_two_seconds_and_keeps_stages(tmp_path):
    command = [sys.executable, "-m", "solver", "extract", str(EXAMPLE), "--out", str(tmp_path / "take")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if json.loads(line).get("stage") == "track":
                break
        process.stdin.close()
        closed = time.monotonic()
        process.stdout.read()
        assert process.wait(timeout=30) == 3
        assert time.monotonic() - closed < 10  # two seconds on a machine that does nothing else
    state = json.loads((tmp_path / "take" / "shot.json").read_text())
    assert state["stages"]["shot"]["status"] == "done" and state["stages"].get("track", {}).get("status") != "done"


def bad_inputs(folder):
    text = folder / "text.mp4"
    text.write_text("this is no film")
    empty = folder / "empty.mp4"
    empty.touch()
    sound = folder / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return {"missing": folder / "nothing.mp4", "text": text, "empty": empty, "audio": sound}


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "audio"])
def test_bad_input_ends_with_one_line(tmp_path, kind):
    run = extract(bad_inputs(tmp_path)[kind], "--out", tmp_path / "take")
    assert run.returncode == 1 and not (tmp_path / "take").exists()
    lines = [line for line in run.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and len(lines[0]) > 30 and "Traceback" not in run.stderr
    assert [json.loads(line)["type"] for line in run.stdout.splitlines()][-1] == "error"


def test_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    run = extract(EXAMPLE, "--out", tmp_path / "file")
    assert run.returncode == 1 and "is a file" in run.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    run = extract(EXAMPLE, "--out", tmp_path / "mine")
    assert run.returncode == 1 and [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("frames", [1, 12])
def test_nobody_there_is_a_result_with_a_warning(tmp_path, frames):
    rng = np.random.default_rng(0)
    wall = np.repeat(np.repeat(rng.integers(40, 200, (30, 50, 3), dtype=np.uint8), 8, 0), 8, 1)
    clip = write_movie(tmp_path / "wall.mp4", [wall[10 : 10 + 180, 4 * i : 4 * i + 320] for i in range(frames)])
    run = extract(clip, "--out", tmp_path / "take")
    assert run.returncode == 0, run.stderr
    shot = json.loads((tmp_path / "take" / "shot.json").read_text())
    assert shot["people"] == [] and any("Nobody" in w or "nobody" in w.lower() for w in shot["warnings"])
    assert np.load(tmp_path / "take" / "camera.npz")["T_world_from_cam"].shape == (frames, 4, 4)


def test_nets_of_ones_own_are_used_and_named_in_the_take(tmp_path):
    """A back end whose joints all lie in the middle of the box: seen in the tracks, and solved again when the file changes."""
    mine = tmp_path / "mine.py"
    text = (
        "from solver.track.backend import Embedded, Pose\nimport numpy as np\nclass Middle(Embedded):\n    name = 'middle'\n"
        "    def pose(self, rgb, box, turns=(0.0,)):\n        return Pose(np.tile([*(np.add(box[:2], box[2:]) / 2), SCORE], (17, 1)))\n"
        "def backend(device):\n    return Middle()\n"
    )
    options = ("--out", tmp_path / "take", "--range", "0-2", "--max-height", "180", "--until", "track", "--backend", mine)
    for score in (0.75, 0.5):
        mine.write_text(text.replace("SCORE", str(score)))
        assert extract(EXAMPLE, *options).returncode == 3  # stopped, as it was asked to
        with np.load(tmp_path / "take" / "stages" / "track.npz") as tracks:
            joints = tracks["keypoints_2d"][0, :, :17]
            assert "middle" in str(tracks["meta_json"])
        assert np.ptp(joints[..., :2], axis=1).max() < 1e-6 and joints[..., 2].max() <= score


def test_a_backend_that_is_not_there_leaves_nothing_behind(tmp_path):
    run = extract(EXAMPLE, "--out", tmp_path / "take", "--backend", tmp_path / "gone")
    assert run.returncode == 1 and "neither a folder of nets" in run.stdout + run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "take").exists()
