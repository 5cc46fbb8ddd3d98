"""A run that cannot go on ends in one line, keeps what is finished, and leaves nothing half-written. And a fuzzer for the decoder.

FUZZ_EXAMPLES=10000 pytest tests/unit/test_inputs_robust.py -k fuzz   tries more than the hundred and fifty of every day.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solver import pipeline
from solver.__main__ import main
from solver.options import Options
from solver.protocol import Reporter, ShotError, Stopped
from solver.records import beside
from solver.shot.shot import Frames, run
from solver.take import Take, held
from tests.unit.test_shot import movie, options, picture

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))


def said(capsys):
    """The line of a run that failed: one error, on stderr, without a traceback."""
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning:")]
    assert len([line for line in err if line.startswith("error: ")]) == 1 and not any("Traceback" in line for line in err), err
    return next(line for line in err if line.startswith("error: "))


@pytest.fixture
def clip(tmp_path):
    return movie(tmp_path / "a.mp4", [picture(k, 96, 64) for k in range(6)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("file", ["shot.json.part", "stages/shot.npz.part"])
def test_a_full_disk(tmp_path, capsys, clip, file):
    """The system itself refuses the bytes: writing goes to a device that is always full."""
    take = tmp_path / "take"
    (take / "stages").mkdir(parents=True)
    (take / "shot.json").write_text('{"schema_version": 1}')
    (take / file).symlink_to("/dev/full")
    assert main(["extract", str(clip), "--out", str(take), "--until", "shot"]) == 1
    line = said(capsys)
    assert "no space left" in line and "finished stages are kept" in line
    assert json.loads((take / "shot.json").read_text())["schema_version"] == 1
    assert not list(take.rglob("*.part"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("what", ["movie", "npz"])
def test_a_disk_that_fills_up_while_it_is_written(tmp_path, what):
    """In a process of its own: FFmpeg that is asked to go on brings the process down, a zip file that is forgotten speaks on stderr."""
    (tmp_path / (".part-a.mp4" if what == "movie" else "a.npz.part")).symlink_to("/dev/full")
    code = (
        "import sys, errno, numpy as np\nfrom pathlib import Path\nfrom solver.movie import write_movie\nfrom solver.records import save_npz\n"
        "folder = Path(sys.argv[1]); noise = np.random.default_rng(0).integers(0, 255, (80, 120, 160, 3), np.uint8)\n"
        "try:\n    write_movie(folder / 'a.mp4', noise, 24) if sys.argv[2] == 'movie' else save_npz(folder / 'a.npz', noise=noise)\n"
        "except OSError as error:\n    print(error.errno == errno.ENOSPC)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), what], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")
    assert not list(tmp_path.iterdir())


def test_what_fails_while_it_is_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OSError), beside(target) as part:
        part.write_text("half")
        raise OSError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and target.read_text() == "old"


@pytest.mark.parametrize("gone", ["take", "film"])
def test_what_goes_away_in_the_middle(tmp_path, capsys, clip, monkeypatch, gone):
    take = tmp_path / "take"

    def vanish(self, shot, frames):
        if gone == "take":
            shutil.rmtree(take)
            (take / "masks").mkdir()  # what every stage would do first
        clip.unlink()
        frames.read(5)

    monkeypatch.setattr(pipeline.Run, "_seen", vanish)
    assert main(["extract", str(clip), "--out", str(take)]) == 1
    line = said(capsys)
    assert ("has gone" if gone == "take" else "no longer there") in line
    if gone == "film":
        assert Take(take).read()["stages"]["shot"]["status"] == "done"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_folder_that_only_the_kernel_refuses(capsys, clip):
    assert main(["extract", str(clip), "--out", "/proc/reshoot-take"]) == 1
    assert "Nothing can be written in /proc" in said(capsys)


def test_two_runs_on_one_take(tmp_path, capsys, clip):
    take = tmp_path / "take"
    with pytest.raises(Stopped):
        pipeline.extract(Options(clip, take, until="shot"), Reporter())
    before = (take / "shot.json").read_bytes()
    hold = "import sys, pathlib; from solver.take import held\nwith held(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", hold, str(take / "stages")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline().strip() == b"held"
        assert main(["extract", str(clip), "--out", str(take), "--until", "shot", "--restart"]) == 4
        assert "Another run is at work" in said(capsys) and (take / "shot.json").read_bytes() == before
    finally:
        other.kill()  # a run that is killed lets go of the take
        other.wait()
    with held(take / "stages"):
        pass


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_memory_does_not_grow_with_the_film(tmp_path):
    """A film of two thousand pictures takes hardly more than one of two hundred."""
    code = (
        "import sys, re; from pathlib import Path; from types import SimpleNamespace; from solver.shot.shot import run, Frames\n"
        "from solver.protocol import Reporter\n"
        "shot = run(Path(sys.argv[1]), SimpleNamespace(cut=None, range=None, max_height=None, fps=None, cuts='none'), Reporter())\n"
        "count = sum(1 for _ in Frames(shot)); print(count, *re.findall(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text()))"
    )
    peak = {}
    for count in (200, 2000):
        path = movie(tmp_path / f"{count}.mp4", [picture(k, 320, 192) for k in range(count)])
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        frames, kilobytes = map(int, done.stdout.split())
        assert frames == count
        peak[count] = kilobytes / 1024
    # All pictures together would be 350 MB; 200 MB of them may be kept, and the short film keeps 35.
    assert peak[2000] - peak[200] < 60


def _corpus():
    """Small files of every kind that is read: name, bytes."""
    folder = Path(__import__("tempfile").mkdtemp())
    pictures = [picture(k) for k in range(8)]
    movie(folder / "a.mp4", pictures, codec="libx264", gop_size=4, max_b_frames=1)
    movie(folder / "a.mov", pictures, codec="mjpeg", pix_fmt="yuvj420p")
    movie(folder / "a.mkv", pictures, codec="ffv1", pix_fmt="bgr0")
    movie(folder / "a.avi", pictures)
    movie(folder / "a.ts", pictures, codec="mpeg2video", rate=25)
    for ending in ("png", "jpg", "tif", "webp", "bmp"):
        cv2.imwrite(str(folder / f"1.{ending}"), picture(0))
    cv2.imwrite(str(folder / "1.exr"), picture(0).astype(np.float32) / 255)
    from tests.unit.test_inputs_pictures import write_dpx

    write_dpx(folder / "1.dpx", picture(0))
    found = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    shutil.rmtree(folder)
    return found


CORPUS = _corpus()


def _mutated(data: bytes, changes, cut: float, at: float) -> bytes:
    """Bytes changed, a piece left out or doubled; headers are hit as often as all the rest."""
    out = bytearray(data)
    for where, head, value in changes:
        out[int(where * (min(len(out), 512) if head else len(out)))] = value
    size, start = int(abs(cut) * len(out) / 2), int(at * len(out))
    if cut < 0:
        del out[start : start + size]
    elif size:
        out[start:start] = out[start : start + size]
    return bytes(out)


def _peak_mb(afresh=False) -> float:
    """The most memory that this process has had, since the last time afresh; 0 where the system does not say."""
    if not Path("/proc/self/clear_refs").exists():
        return 0.0
    if afresh:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 150, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(CORPUS)),
    changes=st.lists(st.tuples(st.floats(0, 0.9999), st.booleans(), st.integers(0, 255)), max_size=12),
    cut=st.one_of(st.just(0.0), st.floats(-1, 1)),
    at=st.floats(0, 0.9999),
)
def test_fuzz_the_decoder(tmp_path_factory, name, changes, cut, at):
    """A damaged file gives what can be read of it or one line, in time and in little memory."""
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / name
    path.write_bytes(_mutated(CORPUS[name], changes, cut, at))
    begun, free = time.monotonic(), _peak_mb(afresh=True)
    try:
        shot = run(path, options(), Reporter())
        assert shot.frames == len(shot.picture) == len(shot.fresh) < 100_000
        for index in {0, shot.frames // 2, shot.frames - 1}:
            assert Frames(shot).read(index).shape == (shot.height, shot.width, 3)
    except ShotError as error:
        assert error.message and error.fix and "\n" not in str(error)
    finally:
        shutil.rmtree(folder)
    assert time.monotonic() - begun < 20  # a hang, not a speed: all of these take tens of milliseconds
    assert _peak_mb() - free < 2000


def test_pictures_that_change_their_shape_within_a_movie_are_scanned(tmp_path):
    """Found by the fuzzer: later pictures of another shape are scaled to the first, for the finder of cuts too."""
    path = tmp_path / "a.mov"
    path.write_bytes(_mutated(CORPUS["a.mov"], [(0.3936822099422088, False, 1)], 0, 0))
    report = Reporter()
    shot = run(path, options(), report)
    assert any("size changes" in warning for warning in report.warnings)
    assert Frames(shot).read(shot.frames - 1).shape == (shot.height, shot.width, 3)


def test_a_stream_whose_colours_cannot_be_shown_is_one_line(tmp_path):
    """Found by the fuzzer: the header of a transport stream asks for a conversion that FFmpeg does not have."""
    path = tmp_path / "a.ts"
    changes = [
        (0.6647209367003548, True, 43), (0.9331702408987826, False, 47), (0.43253732150717905, False, 120),
        (0.790173491287508, True, 193), (0.06418371315331217, False, 125), (0.3509443963531166, True, 3),
        (0.44628914589215807, False, 158), (0.03005652491137112, True, 124), (0.20110694935897266, True, 91),
        (0.8357860009534348, True, 103),
    ]  # fmt: skip
    path.write_bytes(_mutated(CORPUS["a.ts"], changes, 0, 0.735259553493753))
    with pytest.raises(ShotError, match="cannot be shown"):
        run(path, options(), Reporter())
