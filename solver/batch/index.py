"""What a batch holds, told from its takes: batch.json, index.csv, index.html and one small picture a shot."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, field
from html import escape
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from ..protocol import ShotError
from ..records import beside, save_text
from ..report.page import MOVEMENTS, STYLE, SYMBOLS
from ..take import Take

SCHEMA_VERSION = 1
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
PICTURE_WIDTH = 360
COLUMNS = ("name", "state", "clip", "first_frame", "frames", "colour", "verdict", "camera", "people", "seconds", "message", "take")

PAGE = """
main { max-width:1400px } table { background:var(--card) } td { vertical-align:middle } td.p { width:200px; padding:8px } td img { border-radius:6px }
td.l { white-space:nowrap } td .dot { width:16px; height:16px; font-size:10px; margin-right:2px } .failed td { color:var(--red) } a { color:inherit; text-decoration:none }
"""


@dataclass
class Row:
    """A shot as its take tells it."""

    name: str
    state: str
    clip: str
    first_frame: int | None = None  # number of the first frame of the film that is solved, from 0
    frames: int | None = None
    colour: str = ""  # green, amber, red or grey
    verdict: str = ""
    camera: str = ""
    people: int | None = None
    seconds: float | None = None  # of all stages
    message: str = ""  # why it failed, and what to do
    take: str = ""  # folder, from the batch's own
    lights: dict = field(default_factory=dict)  # colour of each by its name


class Index:
    """The rows of a batch's folder. A row is read again when a file that it is told from has changed."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._rows: dict = {}

    def row(self, shot) -> Row:
        """The row of a `drive.Shot`, as its files are now."""
        files = [shot.take / "shot.json", shot.take / "report.json", shot.note]
        stamp = [file.stat().st_mtime_ns if file.exists() else 0 for file in files]
        stamped, row = self._rows.get(shot.name, (None, None))
        if stamped != (shot, stamp):
            row = self._read(shot)
            self._rows[shot.name] = (shot, stamp), row
        return row

    def _read(self, shot) -> Row:
        row = Row(shot.name, WAITING, str(shot.clip), frames=shot.frames or None)
        note = _json(shot.note)
        if note:
            row.state, row.message = FAILED, f"{note.get('message', '')} {note.get('fix', '')}".strip()
        elif shot.finished():
            state, report = Take(shot.take).read(), _json(shot.take / "report.json")
            row.state, row.take = DONE, shot.take.relative_to(self.folder).as_posix()
            row.first_frame, row.frames = state["source"]["start_frame"], state["source"]["frames"]
            row.colour, row.verdict = report["verdict"]["colour"], report["verdict"]["text"]
            row.camera, row.people = MOVEMENTS.get(state["verdict"], state["verdict"]), len(state["people"])
            row.seconds = round(sum(stage["seconds"] for stage in state["stages"].values()), 1)
            row.lights = {light["name"]: light["colour"] for light in report["lights"]}
            self._draw(shot)
        return row

    def _draw(self, shot) -> None:
        """A small picture of the middle of the take's preview, where there is none that is younger."""
        from ..shot.video import Movie

        movie, picture = shot.take / "preview.mp4", self.picture(shot.name)
        if picture.exists() and picture.stat().st_mtime_ns >= movie.stat().st_mtime_ns:
            return
        from PIL import Image

        try:
            source = Movie(movie)
            middle = next(islice(source.decode(), source.header_frames // 2, None))[1]
            height = round(middle.height * PICTURE_WIDTH / middle.width)
            with beside(picture) as part:
                Image.fromarray(source.rgb(middle, PICTURE_WIDTH, height)).save(part, "JPEG", quality=85)
        except (ShotError, OSError, StopIteration):
            pass  # a shot without a picture is a shot

    def picture(self, name: str) -> Path:
        return self.folder / "pictures" / f"{name}.jpg"

    def write(self, rows: list[Row]) -> None:
        """batch.json, index.csv and index.html, each beside its place first."""
        save_text(self.folder / "batch.json", json.dumps({"schema_version": SCHEMA_VERSION, "shots": [asdict(row) for row in rows]}, indent=1))
        lights = list(dict.fromkeys(name for row in rows for name in row.lights))
        text = io.StringIO(newline="")
        sheet = csv.writer(text, lineterminator="\n")
        sheet.writerow([*COLUMNS, *lights])
        for row in rows:
            values = asdict(row)
            sheet.writerow([*("" if values[c] is None else values[c] for c in COLUMNS), *(row.lights.get(name, "") for name in lights)])
        save_text(self.folder / "index.csv", text.getvalue())
        save_text(self.folder / "index.html", self._page(rows))

    def _page(self, rows) -> str:
        counts = {state: sum(row.state == state for row in rows) for state in (DONE, RUNNING, WAITING, FAILED)}
        said = " · ".join(f"{count} {state}" for state, count in counts.items() if count)
        frames, seconds = sum(row.frames or 0 for row in rows), sum(row.seconds or 0 for row in rows)
        facts = f"{len(rows)} shots: {said} · {frames} frames · {seconds / 3600:.2f} hours of solving"
        title = escape(self.folder.resolve().name)
        head = "".join(f"<th>{name}</th>" for name in ("", "Shot", "Verdict", "Camera", "People", "Lights", "Seconds"))
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{title} – Reshoot batch</title><style>{STYLE}{PAGE}</style></head><body><main><h1>{title}</h1>"
            f'<p class="soft">{facts}</p><div class="scroll"><table><tr>{head}</tr>{"".join(map(self._line, rows))}</table></div>'
            "</main></body></html>\n"
        )

    def _line(self, row: Row) -> str:
        name = f"<b>{escape(row.name)}</b>"
        where = "" if row.first_frame is None else f", from frame {row.first_frame}"
        facts = f'{name}<br><span class="soft">{escape(Path(row.clip).name)}{where}{f", {row.frames} frames" if row.frames else ""}</span>'
        if row.state != DONE:
            said = escape(row.message or row.state)
            return f'<tr class="{row.state}"><td class="p"></td><td>{facts}</td><td colspan="5">{said}</td></tr>'
        report = quote(f"{row.take}/report.html")
        picture = self.picture(row.name)
        image = f'<img loading="lazy" alt="" src="{quote(picture.relative_to(self.folder).as_posix())}">' if picture.exists() else ""
        lights = "".join(
            f'<span class="dot {colour}" title="{escape(name)}">{SYMBOLS.get(colour, "")}</span>' for name, colour in row.lights.items()
        )
        return (
            f'<tr class="done"><td class="p"><a href="{report}">{image}</a></td><td><a href="{report}">{facts}</a></td>'
            f'<td><span class="dot {row.colour}">{SYMBOLS.get(row.colour, "")}</span> {escape(row.verdict)}</td><td>{escape(row.camera)}</td>'
            f'<td class="n">{row.people}</td><td class="l">{lights}</td><td class="n">{row.seconds:.0f}</td></tr>'
        )


def _json(path: Path) -> dict:
    """A JSON object, or an empty one where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
