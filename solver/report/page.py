"""report.html: one file that shows everything and asks the network for nothing."""

from __future__ import annotations

from html import escape

import numpy as np

from ..records import Film, Shot, World
from .charts import line_chart, top_view

SYMBOLS = {"green": "✓", "amber": "!", "red": "✕", "grey": "–"}
MOVEMENTS = {"static": "locked off", "rotation": "turns on the spot", "full": "travels"}
LENS_SOURCES = {"given": "given", "estimated": "measured from the shot", "prior": "a guess"}
USED = {"optimised": "refined by differentiable filming", "start": "the start camera was kept"}
GROUNDS = {
    "contacts": "standing feet", "bodies": "the bodies", "camera": "the camera's height (a guess)",
}  # fmt: skip

STYLE = """
:root { --page:#f4f5f7; --card:#fff; --ink:#1b1f27; --soft:#626b7a; --line:#dde1e7; --after:#2f6fde; --before:#a3abb8;
 --green:#1d8a4b; --amber:#b87408; --red:#c93a34; --grey:#7a8494; --camera:#c98a00; color-scheme:light }
@media (prefers-color-scheme:dark) { :root { --page:#14171c; --card:#1d2128; --ink:#e8ebf0; --soft:#9aa4b3; --line:#313844;
 --after:#6ea2ff; --before:#6b7585; --green:#46c07a; --amber:#e5a93c; --red:#f0706a; --grey:#8a94a4; --camera:#ffd666; color-scheme:dark } }
* { box-sizing:border-box } body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif }
main { max-width:1120px; margin:0 auto; padding:32px 20px 64px } h1 { font-size:26px; margin:0; overflow-wrap:anywhere } h2 { font-size:18px; margin:40px 0 12px }
p { margin:6px 0; max-width:76ch } .soft, figcaption { color:var(--soft); font-size:13px }
.verdict { display:flex; gap:12px; align-items:center; margin:20px 0; padding:14px 18px; border-radius:12px; background:var(--card); border:1px solid var(--line);
 border-left:6px solid var(--c); font-size:17px; font-weight:600 }
.dot { flex:none; display:inline-grid; place-items:center; width:22px; height:22px; border-radius:50%; background:var(--c); color:var(--card); font-weight:700; font-size:13px }
.green { --c:var(--green) } .amber { --c:var(--amber) } .red { --c:var(--red) } .grey { --c:var(--grey) }
.cards { display:grid; gap:12px; grid-template-columns:repeat(auto-fit,minmax(250px,1fr)) }
.card { background:var(--card); border:1px solid var(--line); border-radius:12px; padding:14px 16px; min-width:0 } .card h3 { display:flex; gap:8px; align-items:center; margin:0; font-size:14px }
.card .value { font-size:22px; font-weight:650; margin:6px 0 2px; font-variant-numeric:tabular-nums } .card p { font-size:13px; color:var(--soft) }
.row { display:grid; gap:8px; margin-bottom:8px } .row.of2 { grid-template-columns:repeat(2,1fr) } .row.of3 { grid-template-columns:repeat(3,1fr) } .row.of4 { grid-template-columns:repeat(4,1fr) }
figure { margin:0; min-width:0 } img { display:block; width:100%; border-radius:8px; border:1px solid var(--line) } figcaption { padding:3px 2px 0 }
.pair { display:grid; gap:12px; grid-template-columns:repeat(auto-fit,minmax(420px,1fr)) }
svg { display:block; width:100%; height:auto } svg text { fill:var(--soft); font:12px system-ui,sans-serif }
.rule { stroke:var(--line); stroke-width:1 } .before { stroke:var(--before); stroke-width:2 } .after { stroke:var(--after); stroke-width:2 } .camera { stroke:var(--camera); stroke-width:2.5 }
.third { stroke:var(--green); stroke-width:2 } .fourth { stroke:var(--red); stroke-width:2 } .camera-dot { fill:var(--camera) } .view { fill:var(--camera); opacity:.16 } .bar { stroke:var(--soft); stroke-width:2 }
.legend { display:flex; flex-wrap:wrap; gap:4px 14px; font-size:13px; color:var(--soft); margin:0 0 8px; max-width:none } .legend b { color:var(--ink) }
.legend i { display:inline-block; width:12px; height:12px; border-radius:3px; margin-right:5px; vertical-align:-1px }
i.before { background:var(--before) } i.after { background:var(--after) } i.camera { background:var(--camera) } i.third { background:var(--green) } i.fourth { background:var(--red) }
.scroll { overflow-x:auto } table { border-collapse:collapse; width:100%; font-size:14px } th, td { text-align:left; padding:6px 10px 6px 0; border-bottom:1px solid var(--line); vertical-align:top }
td.n, th.n { text-align:right; font-variant-numeric:tabular-nums; padding-right:20px } th { font-weight:600; color:var(--soft); font-size:13px }
.time { display:grid; grid-template-columns:110px 1fr 70px; gap:10px; align-items:center; font-size:14px } .time div { height:10px; border-radius:4px; background:var(--after); min-width:2px } .time span:last-child { text-align:right }
.warnings li { margin:4px 0 } @media (max-width:640px) { .row.of4, .row.of3 { grid-template-columns:repeat(2,1fr) } .pair { grid-template-columns:1fr } }
@media print { body { background:#fff } .card, figure, .pair > div { break-inside:avoid } }
"""


def page(numbers: dict, shot: Shot, world: World, cast, pictures, errors: dict, film: Film, overlap) -> str:
    """The whole page as text.

    numbers: report.json's content. errors: {"start", "final"} joint error per frame (T,) px. overlap: IoU of people per frame (T,).
    """
    sections = [
        _head(numbers),
        f'<section class="cards">{"".join(_card(light) for light in numbers["lights"])}</section>',
        _warnings(numbers["warnings"]),
        _comparisons(pictures, numbers),
        _sheet(pictures),
        _charts(cast, errors, film, overlap, shot),
        _plate(pictures, numbers),
        _table(numbers, world),
        _times(numbers),
    ]
    title = escape(f"{numbers['source']} – Reshoot report")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def _head(n):
    colour, text = n["verdict"]["colour"], escape(n["verdict"]["text"])
    people = len(n["people"])
    facts = f"{n['frames']} frames · {n['width']} × {n['height']} · {n['fps']:.4g} fps · {people} {'person' if people == 1 else 'people'}"
    return (
        f'<header><h1>{escape(n["source"])}</h1><p class="soft">{facts}</p>'
        f'<div class="verdict {colour}"><span class="dot">{SYMBOLS[colour]}</span><span>{text}</span></div></header>'
    )


def _card(light):
    return (
        f'<div class="card {light["colour"]}"><h3><span class="dot">{SYMBOLS[light["colour"]]}</span>{escape(light["name"])}</h3>'
        f'<div class="value">{escape(light["value"])}</div><p>{escape(light["meaning"])}</p></div>'
    )


def _warnings(warnings):
    if not warnings:
        return ""
    return f'<h2>Warnings</h2><ul class="warnings">{"".join(f"<li>{escape(w)}</li>" for w in warnings)}</ul>'


def _figure(source, caption):
    return f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _comparisons(pictures, n):
    rows = []
    for index, original, mask, start, final in pictures.comparisons():
        captions = (f"Frame {index}, original", "People in the video", "Start camera", "Final camera")
        rows.append(f'<div class="row of4">{"".join(map(_figure, (original, mask, start, final), captions))}</div>')
    before, after = n["compared_frames"]["start"], n["compared_frames"]["final"]
    text = "The solved people through the camera before and after refinement, close up; black lines are the outlines of the people in the video."
    if before["iou_people"] is not None and after["iou_people"] is not None:
        text += (
            f" Overlap with them: {100 * before['iou_people']:.1f} % before, {100 * after['iou_people']:.1f} % after;"
            f" pixels of the right class: {before['pa']:.1f} % before, {after['pa']:.1f} % after."
        )
    return f'<h2>Before and after</h2><p class="soft">{text}</p>' + "".join(rows)


def _sheet(pictures):
    sheet = list(pictures.sheet())
    rows = []
    for i in range(0, len(sheet), 3):
        part = sheet[i : i + 3]
        rows.append(f'<div class="row of3">{"".join(_figure(p[1], f"Frame {p[0]}, original") for p in part)}</div>')
        rows.append(f'<div class="row of3">{"".join(_figure(p[2], f"Frame {p[0]}, solved") for p in part)}</div>')
    return "<h2>Contact sheet</h2>" + "".join(rows)


def _charts(cast, errors, film, overlap, shot):
    charts = [
        line_chart(
            [("Start camera", errors["start"], "before"), ("Final camera", errors["final"], "after")],
            "frame", "Joint error, px",
        ),
        line_chart([("People", 100 * overlap, "after")], "frame", "Overlap of outlines, %"),
        top_view(cast),
    ]  # fmt: skip
    if len(film.loss_history) > 1:
        classes = ("after", "camera", "third", "before", "fourth")
        series = [(name, film.loss_history[:, i], css) for i, (name, css) in enumerate(zip(film.loss_terms, classes))]
        charts.append(line_chart(series, "step", "Loss while refining the camera", log=True))
    return '<h2>Over time and in space</h2><div class="pair">' + "".join(f'<div class="card">{c}</div>' for c in charts if c) + "</div>"


def _plate(pictures, n):
    if not n["plate"]:
        return ""
    rows = []
    for index, original, plate, marked in pictures.plates():
        captions = (f"Frame {index}, original", "Clean plate", "Guessed parts in red")
        rows.append(f'<div class="row of3">{"".join(map(_figure, (original, plate, marked), captions))}</div>')
    text = f"{100 * n['plate']['unseen_share']:.1f} % of all pixels are guessed. Reflections of the people remain, and shadows where the light is not known."
    return f'<h2>Clean plate</h2><p class="soft">{text}</p>' + "".join(rows)


def _table(n, world):
    c = n["camera"]
    first, last = c["focal_mm_first_last"]
    lens = f"{first:.1f} mm" if abs(first - last) < 0.5 else f"{first:.1f} → {last:.1f} mm"
    error, error_1920 = n["joint_error_px"], n["joint_error_px_1920"]
    rows = [
        ("Pixels of the right class (PA)", _say(n["pa"], "{:.2f} %"), "background and every person, all frames"),
        ("Overlap (IoU), background counted", _say(n["iou"], "{:.3f}"), "mean over classes, then over frames"),
        ("Overlap (IoU) of people", _say(n["iou_people"], "{:.3f}"), "the same without the background"),
        ("Joint error, start camera", _say(error["start"], "{:.2f} px"), _say(error_1920["start"], "{:.1f} px at a width of 1920")),
        ("Joint error, final camera", _say(error["final"], "{:.2f} px"), _say(error_1920["final"], "{:.1f} px at a width of 1920")),
        ("Foot slide", _say(n["foot_slide_mm"], "{:.2f} mm"), "per frame, while a foot stands"),
        ("Jitter", _say(n["jitter"], "{:.1f}"), "10 m/s³, mean over joints"),
        ("Camera", MOVEMENTS.get(c["movement"], c["movement"]), USED.get(c["used"], c["used"])),
        ("Next best", MOVEMENTS.get(c["runner_up"], c["runner_up"] or "–"), _say(c["margin"], "behind by {:.0f} in the criterion of the tracks")),
        ("Camera path", f"{c['path_m']:.2f} m", f"turns by {c['turn_deg']:.1f}° in all"),
        ("Lens", lens, f"on a 36 mm sensor, ± {100 * c['focal_sigma']:.0f} %, {LENS_SOURCES.get(c['focal_source'], c['focal_source'])}"),
        ("Size of the world", _percent(n["world"]["sigma"].get("size")), "one sigma: people's heights, the lens and the path's size"),
        ("Up", _say(n["world"]["sigma"].get("up_deg"), "± {:.1f}°"), f"camera rolled by {n['world']['roll_deg']:.1f}° on the mean"),
        ("Ground", GROUNDS.get(world.ground_source, world.ground_source), "what tells where it is"),
    ]
    for person in n["people"]:
        rows.append((f"Person {person['id']}", f"{person['frames']} frames", _say(person["joint_error_px_1920"], "joints {:.1f} px off at 1920")))
    body = "".join(f'<tr><td>{escape(a)}</td><td class="n">{escape(b)}</td><td class="soft">{escape(d)}</td></tr>' for a, b, d in rows)
    return f'<h2>Numbers</h2><div class="card scroll"><table>{body}</table></div>'


def _percent(share):
    return "–" if share is None else f"± {100 * share:.0f} %"


def _say(value, text):
    return "–" if value is None or not np.isfinite(value) else text.format(value)


def _times(n):
    stages = n["stages"]
    if not stages:
        return ""
    longest, total = max(stages.values()), sum(stages.values())
    rows = "".join(
        f'<div class="time"><span>{escape(name)}</span><div style="width:{100 * s / longest:.1f}%"></div><span>{s:.1f} s</span></div>'
        for name, s in stages.items()
    )
    per_frame = total / max(n["frames"], 1)
    return f'<h2>Time</h2><p class="soft">{total:.0f} s in all, {per_frame:.2f} s a frame.</p><div class="card">{rows}</div>'
