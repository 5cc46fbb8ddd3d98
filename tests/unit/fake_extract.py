"""Stands for `python -m solver`: cuts are looked for in earnest, but a take is made at once, by the name of the clip."""

import json
import os
import sys
import time
from pathlib import Path

from solver.__main__ import _parser, main
from solver.options import Options
from solver.protocol import Reporter
from solver.shot import shot as stage

if sys.argv[1] != "extract":
    sys.exit(main(sys.argv[1:]))
a = _parser().parse_args(sys.argv[1:])
values = {k: v for k, v in vars(a).items() if k not in ("command", "out", "json", "debug")}
options = Options(take=a.out, **values)
kind, take = a.source.stem, Path(a.out)
with open(take.parent.parent / "ran.txt", "a") as record:
    record.write(take.name + "\n")
(take.parent.parent / f"pid-{take.name}").write_text(str(os.getpid()))
marks = take.parent.parent / f"tries-{take.name}"
marks.write_text(marks.read_text() + "x" if marks.exists() else "x")
print(json.dumps({"type": "progress", "stage": "track", "done": 1, "total": 2, "text": ""}), flush=True)
if kind.startswith("bad"):
    print(json.dumps({"type": "error", "message": "It rained.", "fix": "Film it again."}), flush=True)
    sys.exit(1)
if kind.startswith("dies") or (kind.startswith("once") and marks.read_text() == "x"):
    os.kill(os.getpid(), 9)
if kind.startswith("held") and marks.read_text() == "x":
    print(json.dumps({"type": "error", "message": "Another run is at work on this take.", "fix": ""}), flush=True)
    sys.exit(4)
if kind.startswith("slow"):
    sys.stdin.read()
    sys.exit(3)
while kind.startswith("gate") and not (a.source.parent / "go").exists():
    time.sleep(0.02)
shot = stage.run(a.source, options, Reporter())
take.mkdir(parents=True, exist_ok=True)
lights = [{"name": "Lens", "colour": "amber", "value": "", "meaning": ""}, {"name": "Plate <b>", "colour": "green", "value": "", "meaning": ""}]
report = {"verdict": {"colour": "amber", "text": "Usable, with an eye on lens."}, "lights": lights}
(take / "report.json").write_text(json.dumps(report))
state = {
    "schema_version": 1, "verdict": "rotation", "people": [{"id": 1}], "options": options.to_json(), "complete": True,
    "source": {"sha256": shot.sha256, "start_frame": shot.start_frame, "frames": shot.frames},
    "stages": {"track": {"status": "done", "seconds": 1.5}, "slam": {"status": "done", "seconds": 2.0}},
}  # fmt: skip
(take / "shot.json").write_text(json.dumps(state))
print(json.dumps({"type": "result", "take": str(take)}), flush=True)
