"""Command line: python -m solver extract CLIP --out TAKE | batch | cuts | take | check."""

from __future__ import annotations

import argparse
import errno
import io
import os
import stat
import sys
import threading
from contextlib import redirect_stderr, suppress
from functools import partial
from pathlib import Path

from . import __version__
from . import check as solver_check
from .options import Options
from .protocol import JsonLines, ShotError, Stopped, TakeHeld, Terminal


def _parser() -> argparse.ArgumentParser:
    from .batch import cli as batch_cli
    from .corrections import cli as corrections_cli

    parser = argparse.ArgumentParser(prog="solver", description="Reshoot's solver: people and camera of one film shot.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    reading = argparse.ArgumentParser(add_help=False)  # how a source is read
    reading.add_argument("--cuts", type=_cuts, default="auto", metavar="none|auto|FRAMES", help="where the clip is cut: found, nowhere, or before these frames, as in 24,80")
    reading.add_argument("--fps", type=float, help="frame rate of an image sequence (default 24)")
    solving = argparse.ArgumentParser(add_help=False)  # how a shot is solved, whichever it is
    solving.add_argument("--max-height", type=_at_least(64), metavar="PX", help="solve at no more than this height")
    lens = solving.add_mutually_exclusive_group()
    lens.add_argument("--focal-mm", type=float, metavar="MM", help="known focal length on a 36 mm sensor")
    lens.add_argument("--fov", type=float, metavar="DEG", help="known horizontal field of view")
    solving.add_argument("--camera-kind", choices=("travels", "turns", "locked"), help="what the camera does, where you know it")
    solving.add_argument("--most", type=_at_least(1), metavar="N", help="follow the N most prominent people (default: up to 8, and nobody who is background beside them)")
    solving.add_argument("--smpl", type=Path, metavar="FOLDER", help="folder with your licensed SMPL_NEUTRAL file")
    solving.add_argument("--backend", type=Path, metavar="FOLDER|FILE.py", help="nets of your own for boxes, joints or 3D (docs/backends.md)")
    solving.add_argument("--quality", choices=("preview", "final"), default="final", help="preview skips differentiable filming")
    solving.add_argument("--no-plate", dest="plate", action="store_false", help="do not build the clean plate")
    solving.add_argument("--inpainter", metavar="COMMAND", help="a program of your own paints what no frame shows of the plate (docs/inpainters.md)")
    solving.add_argument("--device", default="cpu", help="torch device for differentiable filming: cpu, cuda")
    solving.add_argument("--seed", type=int, default=0)
    talking = argparse.ArgumentParser(add_help=False)
    talking.add_argument("--json", action="store_true", help="progress as JSON lines also at a terminal; closing a piped stdin stops")
    talking.add_argument("--debug", action="store_true", help="show tracebacks")
    extract = commands.add_parser("extract", help="solve a shot into a take folder", parents=[solving, reading, talking])
    extract.add_argument("source", type=Path, metavar="CLIP", help="movie file, or a folder of pictures")
    extract.add_argument("--out", type=Path, required=True, metavar="TAKE", help="folder to write; an unfinished take goes on")
    extract.add_argument("--cut", type=int, metavar="N", help="solve piece N between hard cuts, from 0 (default: the longest)")
    extract.add_argument("--range", type=_range, metavar="A-B", help="solve frames A to B of the clip, from 0, both included")
    extract.add_argument("--people", type=Path, nargs="+", default=(), metavar="FILE", help="SMPL tracks of other programs (docs/imports.md)")
    extract.add_argument("--only", type=int, nargs="+", default=(), metavar="NUMBER", help="follow these people alone, by their numbers in seen.json (--until seen writes it)")
    extract.add_argument("--masks", type=Path, metavar="FOLDER", help="instance masks of the people")
    extract.add_argument("--joints", type=Path, metavar="FILE", help="2D joints of another program")
    extract.add_argument("--camera", type=Path, metavar="FILE", help="known camera: COLMAP folder, .chan, SynthEyes text, npz, json")
    extract.add_argument("--until", metavar="STAGE", help="stop after this stage")
    extract.add_argument("--restart", action="store_true", help="forget finished stages")
    extract.add_argument("--scan", type=Path, metavar="FILE", help="keep here what is found on the first pass over the clip")
    batch_cli.add_parsers(commands, [solving, reading, talking], [reading, talking])
    corrections_cli.add_parser(commands)
    commands.add_parser("check", help="say whether everything the solver needs is here")
    commands.add_parser("install", help="put the solver's packages into a folder, for this Python", add_help=False)
    return parser


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    try:
        first, last = int(first), int(last)
    except ValueError:
        raise argparse.ArgumentTypeError("give two frame numbers, for instance 0-71") from None
    if not 0 <= first <= last:
        raise argparse.ArgumentTypeError("the first frame must not come after the last")
    return first, last


def _cuts(text: str):
    if text in ("none", "auto"):
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("give none, auto, or frame numbers with commas, for instance 24,80") from None


def _at_least(low: int):
    def parse(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}")
        return value

    return parse


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 cannot be done (one line says why), 2 wrong arguments, 3 stopped, 4 another run is at work on the take."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["check"]:
        return solver_check.check()
    if argv[:1] == ["install"]:  # before anything that is to be installed
        from . import install

        return install.main(argv[1:])
    if solver_check.too_old() or solver_check.missing():
        return _refuse(argv)
    arguments = _parser().parse_args(argv)
    if arguments.command == "take":
        from .corrections import cli as corrections_cli

        return corrections_cli.run(arguments)
    if arguments.json or (arguments.command == "extract" and not sys.stdout.isatty()):
        # A pipe on stdin belongs to whoever started us: closing it means stop.
        report = JsonLines(stdin=sys.stdin if _is_pipe(sys.stdin) else None)
        threading.Thread(target=_leave_when_stopped, args=(report,), daemon=True).start()
    else:
        report = Terminal()
    if arguments.command in ("batch", "cuts"):
        from .batch import cli as batch_cli

        work = partial(batch_cli.run, arguments, report, _given)
    else:
        work = partial(_extract, arguments, report)
    return _guarded(work, arguments, report)


def _extract(arguments, report) -> int:
    from .pipeline import extract

    values = {k: v for k, v in vars(arguments).items() if k not in ("command", "out", "json", "debug")}
    extract(Options(take=arguments.out, **values), report)
    return 0


def _given(words: list[str]) -> dict:
    """The fields of Options that these words of `extract` set. Raises ShotError where they make no sense."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            given, plain = (vars(_parser().parse_args(["extract", "-", "--out", "-", *more])) for more in (words, ()))
    except SystemExit:
        what = (said.getvalue().strip().splitlines() or ["solver: "])[-1].rpartition("error: ")[2]
        raise ShotError(f"{what[:1].upper()}{what[1:]}.", "python -m solver extract --help lists the options.") from None
    named = {word.lstrip("-").partition("=")[0].replace("-", "_") for word in words if word.startswith("--")}
    return {name: value for name, value in given.items() if value != plain[name] or name in named}


def _guarded(work, arguments, report) -> int:
    """Exit status of some work; what goes wrong ends in one line."""
    try:
        return work()
    except TakeHeld as error:
        report.error(error.message, error.fix)
        return 4
    except ShotError as error:
        report.error(error.message, error.fix)
        return 1
    except Stopped:
        return 3
    except KeyboardInterrupt:
        return 3
    except ImportError as error:
        if arguments.debug:
            raise
        _log_traceback(arguments.out)
        report.error(f"A package of the solver cannot be loaded: {error}".replace("\n", " "), "Check Solver says more.")
        return 1
    except OSError as error:
        if arguments.debug:
            raise
        _log_traceback(arguments.out)
        report.error(*_of_the_disk(error, arguments.out))
        return 1
    except MemoryError:
        if arguments.debug:
            raise
        report.error("The memory of this computer does not suffice for the shot.", "Solve it smaller with Max Height, or fewer frames at a time.")
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        _log_traceback(arguments.out)
        report.error(f"The solver failed: {type(error).__name__}: {error}".replace("\n", " "), "Run again with --debug and report it.")
        return 1


def _refuse(argv: list[str]) -> int:
    """Say in one line what this Python lacks. Nothing but the standard library is needed for that."""
    names = solver_check.missing()
    report = JsonLines(stdin=None) if "--json" in argv else Terminal()
    report.error(solver_check.too_old() or solver_check.lacks(names), "Check Solver says how to mend that: python -m solver check.")
    return 1


def _is_pipe(stream) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _leave_when_stopped(report) -> None:
    """A stop takes effect at the next progress call; if native code holds longer, leave anyway. Stages are saved atomically."""
    report.stop.wait()
    threading.Event().wait(1.5)
    os._exit(3)


def _of_the_disk(error: OSError, take: Path) -> tuple[str, str]:
    """What happened and what to do where reading or writing failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"There is no space left for the take in {take}.", "Free some space and run Extract Shot again: finished stages are kept."
    if not take.is_dir():
        return f"The take folder {take} has gone.", "Bring its disk back, or run Extract Shot again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or take} may not be written.", "Choose a take folder that you may write to."
    what = f"{error.filename or take} cannot be read or written ({error.strerror or error})".replace("\n", " ")
    return f"{what}.", "Check its disk and run Extract Shot again: finished stages are kept."


def _log_traceback(take: Path) -> None:
    import traceback

    with suppress(OSError):  # the disk may be what failed
        if (take / "stages").is_dir():
            (take / "stages" / "error.log").write_text(traceback.format_exc(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
