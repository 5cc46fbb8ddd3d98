"""Many shots: what is asked for, what runs, what a kill leaves, what the index says. The solver itself is a stand-in here."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from solver.__main__ import _given, _parser
from solver.batch import cli, drive, index, local, sources, table, work
from solver.movie import write_movie
from solver.options import Options
from solver.protocol import Reporter, ShotError, Stopped
from solver.shot import shot as stage
from solver.shot.video import open_source

ROOT = Path(__file__).resolve().parents[2]
FAKE = (sys.executable, "-m", "tests.unit.fake_extract")


def film(path, *lengths, seed=0):
    """A movie of noisy scenes of so many frames each."""
    rng = np.random.default_rng(seed)
    scenes = [rng.integers(0, 255, (9, 16, 3), dtype=np.uint8) for _ in lengths]
    path.parent.mkdir(parents=True, exist_ok=True)
    big = [np.kron(scene, np.ones((8, 8, 1), np.uint8)) for scene in scenes]
    write_movie(path, [np.roll(picture, k, 1) for picture, n in zip(big, lengths) for k in range(n)], 24)
    return path


def wait_for(*files):
    """Until they are all there, or so long that they will not come."""
    until = time.monotonic() + 300
    while not all(file.exists() for file in files) and time.monotonic() < until:
        time.sleep(0.05)


def start(*words):
    """A batch in a process of its own, whose workers are the stand-in."""
    code = f"import sys\nfrom solver.batch import work\nwork.SOLVER = {FAKE!r}\nfrom solver.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.Popen([sys.executable, "-c", code, "batch", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(work, "SOLVER", FAKE)


def batch(folder, *asked, jobs=2, report=None, shortest=5, **options):
    asks = sources.read(asked, _given)
    report = report or Reporter()
    view = table.Lines(io.StringIO())
    made = drive.Batch(asks, folder, Options(Path(), Path(), **options), shortest, local.Local(jobs), (1, 0), view, report)
    return {row.name: row for row in made.run()}


# -- what is asked for


def test_a_folder_holds_movies_and_sequences_in_natural_order(tmp_path):
    for name in ("b10.mp4", "b9.mp4", "notes.txt", ".hidden.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "c_frames").mkdir()
    (tmp_path / "c_frames" / "0001.png").touch()
    assert [ask.clip.name for ask in sources.read([tmp_path], _given)] == ["b9.mp4", "b10.mp4", "c_frames"]
    assert [ask.clip for ask in sources.read([tmp_path / "c_frames"], _given)] == [tmp_path / "c_frames"]


def test_names_are_unique_and_fit_every_file_system(tmp_path):
    for name in ("a/take 1?.mov", "b/take 1?.mov", "a/Take_1_.mp4", "a/日本.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [ask.name for ask in sources.read([*sorted((tmp_path / "a").iterdir()), *sorted((tmp_path / "b").iterdir())], _given)]
    assert len({name.lower() for name in names}) == 4 and "日本" in names
    assert all(set(name).isdisjoint('<>:"/\\|?*+ ') for name in names)


def test_a_list_of_shots_takes_the_options_of_extract(tmp_path):
    (tmp_path / "a.mp4").touch()
    listed = [{"clip": "a.mp4", "name": "s 010", "range": "3-9", "focal_mm": 35}, {"clip": "a.mp4", "no_plate": True, "masks": "m", "backend": "nets", "quality": "final"}]
    (tmp_path / "l.json").write_text(json.dumps({"shots": listed}))
    first, second = sources.read([tmp_path / "l.json"], _given)
    assert (first.name, first.options, first.one) == ("s_010", {"range": (3, 9), "focal_mm": 35.0}, True)
    assert second.options == {"plate": False, "masks": tmp_path / "m", "backend": tmp_path / "nets", "quality": "final"} and not second.one
    for wrong in ({"focl": 3}, {"range": "9-3"}, {"quality": "best"}, {"backend": "mine.py"}, {"inpainter": "rm -r"}):
        (tmp_path / "l.json").write_text(json.dumps({"shots": [{"clip": "a.mp4", **wrong}]}))
        with pytest.raises(ShotError, match=r"l\.json, a: "):
            sources.read([tmp_path / "l.json"], _given)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shots": 3}', '{"shots": [{}]}', '{"shots": ["a"]}'])
def test_what_is_no_list_of_shots_says_so(tmp_path, text):
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(ShotError, match="not a list of shots"):
        sources.read([tmp_path / "l.json"], _given)


def test_nothing_there(tmp_path):
    with pytest.raises(ShotError, match="no file"):
        sources.read([tmp_path / "x.mp4"], _given)
    with pytest.raises(ShotError, match="no movies and no pictures"):
        sources.read([tmp_path], _given)


def test_words_of_options_ask_for_the_same():
    asked = Options(Path("/f/a.mp4"), Path("/t"), cut=3, max_height=270, plate=False, quality="preview", people=[Path("/p.npz")], scan=Path("/s"))
    values = vars(_parser().parse_args(asked.words()))
    assert Options(take=values["out"], **{k: v for k, v in values.items() if k not in ("command", "out", "json", "debug")}) == asked


def test_jobs_follow_cores_and_memory(monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 8)
    for free, jobs in ((100, 8), (9, 4), (2, 1), (None, 8)):
        monkeypatch.setattr(local, "free_bytes", lambda free=free: None if free is None else free << 30)
        assert local.jobs_for(2 << 30) == jobs
    assert cli.memory_of(270) < cli.memory_of(None) == cli.memory_of(1080)


# -- the first pass over a film, kept


def test_a_kept_scan_gives_the_same_shot_until_the_film_changes(tmp_path):
    clip, kept = film(tmp_path / "f.mp4", 12, 14), tmp_path / "scan.npz"
    plain = stage.run(clip, Options(clip, tmp_path, cut=1), Reporter())
    for _ in range(2):
        again = stage.run(clip, Options(clip, tmp_path, cut=1, scan=kept), Reporter())
        assert again.pieces == plain.pieces == [[0, 12], [12, 26]] and again.sha256 == plain.sha256
        assert np.array_equal(again.time_s, plain.time_s) and np.array_equal(again.picture, plain.picture)
    assert stage.known(open_source(clip), kept) is not None
    film(clip, 30, seed=2)
    assert stage.known(open_source(clip), kept) is None
    assert stage.pieces(clip, Options(clip, tmp_path, scan=kept), Reporter()) == ([[0, 30]], Fraction(24))


def test_a_damaged_scan_is_made_again(tmp_path):
    clip, kept = film(tmp_path / "f.mp4", 12), tmp_path / "scan.npz"
    kept.write_bytes(b"PK\x03\x04 nothing")
    assert stage.pieces(clip, Options(clip, tmp_path, scan=kept), Reporter())[0] == [[0, 12]]
    assert stage.known(open_source(clip), kept) is not None


# -- runs


def test_a_long_film_becomes_a_take_a_shot(tmp_path, fake):
    said = Reporter()
    rows = batch(tmp_path / "out", film(tmp_path / "reel.mp4", 12, 3, 20), report=said)
    assert {name: (row.first_frame, row.frames, row.state) for name, row in rows.items()} == {
        "reel+001": (0, 12, "done"), "reel+003": (15, 20, "done"),
    }  # fmt: skip
    assert said.warnings == ["1 of 3 pieces of reel.mp4 are shorter than 5 frames and left out."]
    ran = (tmp_path / "out" / "ran.txt").read_text().split()
    batch(tmp_path / "out", tmp_path / "reel.mp4", report=said)
    assert (tmp_path / "out" / "ran.txt").read_text().split() == ran  # nothing is solved twice


def test_what_fails_stops_nobody_else(tmp_path, fake):
    for seed, name in enumerate(("bad", "dies", "once", "held", "good")):
        film(tmp_path / "in" / f"{name}.mp4", 9, seed=seed)
    (tmp_path / "in" / "broken.mp4").write_text("no film")
    rows = batch(tmp_path / "out", tmp_path / "in")
    assert {name: row.state for name, row in rows.items()} == {
        "bad": "failed", "broken": "failed", "dies": "failed", "good": "done", "held": "done", "once": "done",
    }  # fmt: skip
    assert rows["bad"].message == "It rained. Film it again."
    assert "cannot be read as a movie" in rows["broken"].message
    assert "3 times" in rows["dies"].message and (tmp_path / "out" / "tries-dies").read_text() == "xxx"
    assert sorted(p.stem for p in (tmp_path / "out" / "failed").iterdir()) == ["bad", "broken", "dies"]
    os.replace(tmp_path / "in" / "good.mp4", tmp_path / "in" / "broken.mp4")  # mended
    rows = batch(tmp_path / "out", tmp_path / "in" / "broken.mp4")
    assert rows["broken"].state == "done" and not list((tmp_path / "out" / "failed").iterdir())


def test_other_options_or_another_film_or_a_correction_are_solved_again(tmp_path, fake):
    clip, out = film(tmp_path / "a.mp4", 9), tmp_path / "out"

    def runs():
        return len((out / "ran.txt").read_text().split())

    batch(out, clip)
    batch(out, clip, quality="preview")
    assert runs() == 2
    film(clip, 9, seed=5)
    batch(out, clip, quality="preview")
    assert runs() == 3
    (out / "takes" / "a" / "corrections.json").write_text("{}")
    os.utime(out / "takes" / "a" / "corrections.json", ns=(2**62, 2**62))
    batch(out, clip, quality="preview")
    assert runs() == 4
    state = json.loads((out / "takes" / "a" / "shot.json").read_text())
    state["complete"] = False  # killed while it was solved again
    (out / "takes" / "a" / "corrections.json").unlink()
    (out / "takes" / "a" / "shot.json").write_text(json.dumps(state))
    batch(out, clip, quality="preview")
    assert runs() == 5
    batch(out, clip, quality="preview", restart=True)
    assert runs() == 6


def test_stop_ends_the_workers_and_keeps_the_rest(tmp_path, fake):
    film(tmp_path / "in" / "good.mp4", 30)
    film(tmp_path / "in" / "slow.mp4", 9)
    report, out = Reporter(), tmp_path / "out"

    def stop():
        wait_for(out / "pid-slow", out / "takes" / "good" / "shot.json")
        report.stop.set()

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Stopped):
        batch(out, tmp_path / "in", report=report)
    with pytest.raises(ProcessLookupError):
        os.kill(int((out / "pid-slow").read_text()), 0)
    states = {shot["name"]: shot["state"] for shot in json.loads((out / "batch.json").read_text())["shots"]}
    assert states == {"good": "done", "slow": "waiting"}


def test_a_killed_batch_leaves_no_worker_behind(tmp_path):
    film(tmp_path / "slow.mp4", 9)
    out = tmp_path / "out"
    driver = start(str(tmp_path / "slow.mp4"), "--out", str(out))
    wait_for(out / "pid-slow")
    states = {shot["name"]: shot["state"] for shot in json.loads((out / "batch.json").read_text())["shots"]}
    with pytest.raises(ShotError, match="Another batch is at work"):
        batch(out, tmp_path / "slow.mp4")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    pid = int((out / "pid-slow").read_text())
    until = time.monotonic() + 120
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(pid) and set(states) == {"slow"}


def _runs(pid) -> bool:
    """Whether a process is there; one that has ended and is not yet taken note of is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_folder_of_somebody_else_is_left_alone(tmp_path, fake):
    clip, mine = film(tmp_path / "a.mp4", 9), tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("keep me")
    with pytest.raises(ShotError, match="not a batch"):
        batch(mine, clip)
    with pytest.raises(ShotError, match="is a file"):
        batch(clip, clip)
    assert [p.name for p in mine.iterdir()] == ["letter.txt"]


# -- what is told


def test_index_is_told_from_the_takes_alone(tmp_path, fake):
    film(tmp_path / "in" / "a & b.mp4", 9)
    film(tmp_path / "in" / "bad.mp4", 9, seed=1)
    out = tmp_path / "out"
    batch(out, tmp_path / "in")
    before = {name: (out / name).read_bytes() for name in ("batch.json", "index.csv", "index.html")}
    for name in before:
        (out / name).unlink()
    (out / "batch.json").touch()
    batch(out, tmp_path / "in")
    assert {name: (out / name).read_bytes() for name in before} == before
    good, bad = csv.DictReader((out / "index.csv").read_text().splitlines())
    assert (good["name"], good["colour"], good["people"], good["seconds"], good["Lens"], good["camera"]) == (
        "a_b", "amber", "1", "3.5", "amber", "turns on the spot",
    )  # fmt: skip
    assert bad["state"] == "failed" and bad["message"] == "It rained. Film it again."
    page = (out / "index.html").read_text()
    assert "takes/a_b/report.html" in page and "Plate &lt;b&gt;" in page and "It rained." in page and "a &amp; b.mp4" in page
    assert not list(out.rglob("*.part"))


def test_a_terminal_shows_what_runs_below_what_has_ended():
    out = io.StringIO()
    view = table.Table(out)
    view.count([index.Row("a", "done", "a.mp4", frames=10), index.Row("b", "running", "b.mp4", frames=10)])
    view.show({"b": {"stage": "slam", "done": 1, "total": 2, "text": "x"}, "c": {}})
    view.ended(index.Row("c", "failed", "c.mp4", message="It rained."))
    view.close([])
    text = out.getvalue()
    assert "slam" in text and "50 %" in text and "1 of 2 done · 1 running" in text
    assert text.index("starting") < text.index("\x1b[3A\x1b[J") < text.index("It rained.")


def test_messages_are_those_of_the_protocol():
    from reshoot import jobs
    from solver.protocol import JsonLines

    out = io.StringIO()
    view = table.Messages(JsonLines(out, stdin=None))
    view.count([index.Row("a", "done", "a.mp4"), index.Row("b", "running", "b.mp4")])
    view.show({"b": {"stage": "slam", "done": 1, "total": 2}})
    said = [jobs.parse(line) for line in out.getvalue().splitlines()]
    assert said[0] == jobs.Progress("batch", 1, 2, "1 of 2 done · 1 running")


# -- cut lists


@pytest.fixture
def otio():
    return pytest.importorskip("opentimelineio", reason="OpenTimelineIO is not installed: pip install opentimelineio")


def test_each_clip_of_a_cut_list_is_a_shot(tmp_path, otio, fake):
    reel = film(tmp_path / "films" / "reel 1.mp4", 30, 30)
    clips = []
    for name, start, length, offset in (("a", 5, 10, 0), ("b", 100 + 28, 12, 100)):
        available = otio.opentime.TimeRange(otio.opentime.RationalTime(offset, 24), otio.opentime.RationalTime(60, 24))
        reference = otio.schema.ExternalReference(reel.as_uri() if offset else "films/reel 1.mp4", available)
        span = otio.opentime.TimeRange(otio.opentime.RationalTime(start, 24), otio.opentime.RationalTime(length, 24))
        clips.append(otio.schema.Clip(name, reference, span))
    timeline = otio.schema.Timeline("cut", tracks=[otio.schema.Track("V", clips), otio.schema.Track("A", [clips[0].deepcopy()], kind="Audio")])
    otio.adapters.write_to_file(timeline, str(tmp_path / "cut.otio"))
    rows = batch(tmp_path / "out", tmp_path / "cut.otio")
    # the second goes over a hard cut of the reel: the list says what a shot is
    assert {name: (r.first_frame, r.frames) for name, r in rows.items()} == {"cut_001_a": (5, 10), "cut_002_b": (28, 12)}
    assert len(list((tmp_path / "out" / "films").glob("*.npz"))) == 1


def test_an_edl_finds_its_films_by_name(tmp_path, otio, fake):
    pytest.importorskip("otio_cmx3600_adapter", reason="EDLs need otio-cmx3600-adapter")
    film(tmp_path / "rushes" / "A001.mp4", 40)
    (tmp_path / "cut.edl").write_text(
        "TITLE: cut\nFCM: NON-DROP FRAME\n\n"
        "001  A001     V     C        00:00:00:04 00:00:00:14 01:00:00:00 01:00:00:10\n* FROM CLIP NAME: A001.mp4\n\n"
        "002  A001     V     C        00:00:01:00 00:00:01:12 01:00:00:10 01:00:00:22\n* FROM CLIP NAME: A001.mp4\n"
    )
    rows = batch(tmp_path / "out", tmp_path / "cut.edl", tmp_path / "rushes")
    assert {name: (r.first_frame, r.frames) for name, r in rows.items()} == {
        "cut_001_A001": (4, 10), "cut_002_A001": (24, 12), "A001": (0, 40),
    }  # fmt: skip


def test_a_cut_list_without_opentimelineio_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "cut.edl").touch()
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(ShotError, match="OpenTimelineIO") as caught:
        sources.read([tmp_path / "cut.edl"], _given)
    assert "pip install opentimelineio otio-cmx3600-adapter" in caught.value.fix


def test_ray_that_is_not_there_says_what_to_install(monkeypatch):
    from solver.batch.cluster import Ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ShotError, match="Ray") as caught:
        Ray("auto", None)
    assert "pip install" in caught.value.fix
