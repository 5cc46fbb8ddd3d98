"""Stands for `python -m solver extract …`: what it says is chosen by the clip's name."""

import json
import sys
import time
from pathlib import Path

clip, take = Path(sys.argv[1]), Path(sys.argv[2])


def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


say("progress", stage="shot", done=1, total=2, text="frames")
say("progress", stage="film", done=1, total=9, text="joints 812", picture=str(Path(__file__).with_name("nothing.jpg")))
print("words from a library that are no message")
print("and on stderr", file=sys.stderr)
if clip.stem == "error":
    say("error", message="The film has no pictures.", fix="Choose another clip.")
    sys.exit(1)
if clip.stem == "crash":
    sys.exit(9)
if clip.stem in ("slow", "deaf"):
    Path(take.parent / "pid").write_text(str(__import__("os").getpid()))
    if clip.stem == "slow":
        sys.stdin.read()
        sys.exit(3)
    time.sleep(60)
while clip.stem == "gate" and not (clip.parent / "go").exists():
    time.sleep(0.02)
say("warning", message="The lens was guessed.")
say("progress", stage="report", done=2, total=2, text="")
say("result", take=str(take))
