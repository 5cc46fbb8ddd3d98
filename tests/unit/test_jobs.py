"""The solver as a child: command line, messages, states."""

import sys

import pytest

from reshoot import jobs


def run(tmp_path, code):
    job = jobs.Job([sys.executable, "-c", code], tmp_path / "log.txt", cwd=tmp_path)
    news = []
    while job.running:
        news += job.poll()
    return job, news


def test_command_line():
    command = jobs.extract_command(
        "py", "a b.mp4", "out", max_height=480, cut=None, no_plate=True, restart=False, range="0-9"
    )
    assert command == (
        ["py", "-m", "solver", "extract", "a b.mp4", "--out", "out", "--json"]
        + ["--max-height", "480", "--no-plate", "--range", "0-9"]
    )


def test_command_line_is_one_the_solver_takes():
    from solver.__main__ import _parser

    options = {"quality": "preview", "max_height": 480, "focal_mm": 35.0, "cut": 1, "range": "3-9"}
    options |= {"smpl": "s", "no_plate": True, "restart": True}
    got = _parser().parse_args(jobs.extract_command("py", "c.mp4", "t", **options)[3:])
    assert (got.quality, got.max_height, got.focal_mm, got.cut, got.range) == ("preview", 480, 35.0, 1, (3, 9))
    assert got.json and got.restart and not got.plate


@pytest.mark.parametrize(
    "line", ["", "words", "[]", "3", '{"type": "other"}', '{"type": "progress", "stage": 1}', '{"type": "error"}']
)
def test_what_is_no_message_is_passed_over(line):
    assert jobs.parse(line) is None


def test_messages_of_the_solvers_own_reporter():
    import io

    from solver.protocol import JsonLines

    out = io.StringIO()
    report = JsonLines(out, stdin=None)
    report.begin("slam")
    report.progress(3, 7, "frame")
    report.progress(4, 7, "too soon to be told")
    report.progress(4, 7, "frame", "film.jpg")
    report.warn("dark")
    report.error("bad", "better")
    report.result("t")
    assert [jobs.parse(line) for line in out.getvalue().splitlines()] == [
        jobs.Progress("slam", 3, 7, "frame"),
        jobs.Progress("slam", 4, 7, "frame", "film.jpg"),
        jobs.Warned("dark"),
        jobs.Failed("bad", "better"),
        jobs.Result("t"),
    ]


def test_done(tmp_path):
    job, news = run(tmp_path, """print('{"type": "result", "take": "t"}')""")
    assert job.state == jobs.DONE and job.take == "t" and news == [jobs.Result("t")]


def test_a_result_of_a_child_that_then_fails_is_no_result(tmp_path):
    job, _ = run(tmp_path, """print('{"type": "result", "take": "t"}'); raise SystemExit(1)""")
    assert job.state == jobs.FAILED


def test_silent_end_names_the_log(tmp_path):
    job, _ = run(tmp_path, "import sys; print('native trouble', file=sys.stderr); sys.exit(4)")
    assert job.state == jobs.FAILED and str(tmp_path / "log.txt") in job.error.fix
    assert "native trouble" in (tmp_path / "log.txt").read_text()


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(OSError):
        jobs.Job([str(tmp_path / "python")], tmp_path / "log.txt", cwd=tmp_path)
    fine, said = jobs.check(tmp_path / "python")
    assert not fine and "cannot be started" in said


def test_time_left_follows_the_pace(tmp_path, monkeypatch):
    job, _ = run(tmp_path, "pass")
    clock = [100.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])
    assert job.seconds_left(jobs.Progress("track", 0, 100)) is None
    clock[0] += 10
    assert job.seconds_left(jobs.Progress("track", 20, 100)) == pytest.approx(40)
