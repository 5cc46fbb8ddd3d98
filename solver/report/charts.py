"""Charts of the report as SVG text: they follow the page's light or dark colours."""

from __future__ import annotations

from html import escape

import numpy as np

from ..skeleton import colour_of


def line_chart(series, x_label: str, y_label: str, log: bool = False) -> str:
    """series: list of (name, values (N,), css class); NaN interrupts a line. Empty text if there is nothing to draw."""
    width, height, left, bottom, top, right = 640, 220, 52, 34, 12, 12
    finite = [v[np.isfinite(v) & ((v > 0) | (not log))] for _, v, _ in series]
    everything = np.concatenate(finite) if finite else np.zeros(0)
    count = max((len(v) for _, v, _ in series), default=0)
    if len(everything) == 0 or count < 2:
        return ""
    if log:
        low, high = np.log10(everything.min()), np.log10(everything.max())
        low, high = (low, high) if high - low > 0.05 else (low - 0.05, high + 0.05)
        ticks = np.linspace(low, high, 4)
        texts = [f"{10**t:.3g}" for t in ticks]
    else:
        low, high = 0.0, float(np.percentile(everything, 99.5)) * 1.1 + 1e-9
        step = nice(high / 4)
        ticks = np.arange(0, high, step)
        texts = [f"{t:g}" for t in ticks]

    def sx(i):
        return left + (width - left - right) * i / (count - 1)

    def sy(v):
        return top + (height - top - bottom) * (1 - np.clip((v - low) / (high - low), 0, 1))

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(y_label)}">']
    for t, text in zip(ticks, texts):
        parts.append(f'<line class="rule" x1="{left}" x2="{width - right}" y1="{sy(t):.1f}" y2="{sy(t):.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{sy(t) + 4:.1f}" text-anchor="end">{text}</text>')
    step = max(1, int(nice(count / 6)))
    for i in range(0, count, step):
        parts.append(f'<text x="{sx(i):.1f}" y="{height - bottom + 16}" text-anchor="middle">{i}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 3}" text-anchor="middle">{escape(x_label)}</text>')
    for _, values, css in series:
        values = np.log10(np.where(values > 0, values, np.nan)) if log else values
        parts.append(f'<path class="{css}" fill="none" d="{_path([(sx(i), sy(v)) for i, v in enumerate(values)])}"/>')
    legend = "".join(f'<span><i class="{css}"></i>{escape(name)}</span>' for name, _, css in series)
    return f'<p class="legend"><b>{escape(y_label)}</b>{legend}</p>' + "".join(parts) + "</svg>"


def top_view(cast) -> str:
    """The world from above: paths of people and camera, and where the camera looks. x to the right, y up, metres."""
    width, height, pad = 640, 420, 30
    centres = cast.camera.T_world_from_cam[:, :2, 3]
    looks = cast.camera.T_world_from_cam[:, :2, 2]
    paths = [(int(i), np.where(v[:, None], j[:, 0, :2], np.nan)) for i, v, j in zip(cast.people.ids, cast.people.visible, cast.joints)]
    everything = np.concatenate([centres] + [p[np.isfinite(p).all(1)] for _, p in paths])
    low, high = everything.min(0) - 0.8, everything.max(0) + 0.8
    scale = min((width - 2 * pad) / (high - low)[0], (height - 2 * pad) / (high - low)[1], 120)
    middle = (low + high) / 2

    def at(p):
        return width / 2 + (p[..., 0] - middle[0]) * scale, height / 2 - (p[..., 1] - middle[1]) * scale

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="World from above">']
    step = nice(60 / scale)
    for axis, size in ((0, width), (1, height)):
        reach = size / 2 / scale
        for value in np.arange(np.ceil((middle[axis] - reach) / step) * step, middle[axis] + reach, step):
            p = np.array([value, value])
            x, y = at(p)
            ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"' if axis == 0 else f'x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"'
            parts.append(f'<line class="rule" {ends}/>')
    K = cast.camera.K
    frames = len(centres)
    for t in sorted({0, frames // 2, frames - 1}):
        half = np.arctan(K[t, 0, 2] / K[t, 0, 0])
        angle = np.arctan2(looks[t, 1], looks[t, 0])
        reach = 46 / scale
        corners = [centres[t] + reach / np.cos(half) * np.array([np.cos(angle + a), np.sin(angle + a)]) for a in (half, -half)]
        shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(centres[t]), at(corners[0]), at(corners[1])))
        parts.append(f'<polygon class="view" points="{shape}"/>')
    parts.append(f'<path class="camera" fill="none" d="{_path(np.stack(at(centres), 1))}"/>')
    for person, path in paths:
        colour = "#{:02x}{:02x}{:02x}".format(*colour_of(person))
        parts.append(f'<path fill="none" stroke="{colour}" stroke-width="3" stroke-linecap="round" d="{_path(np.stack(at(path), 1))}"/>')
        good = path[np.isfinite(path).all(1)]
        if len(good):
            x, y = at(good[0])
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    x, y = at(centres[0])
    parts.append(f'<circle class="camera-dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    bar = step * scale
    parts.append(f'<path class="bar" d="M16,{height - 16}h{bar:.1f}"/><text x="16" y="{height - 22}">{step:g} m</text></svg>')
    names = "".join(f'<span><i style="background:rgb{colour_of(i)}"></i>Person {i}</span>' for i, _ in paths)
    return f'<p class="legend"><b>World from above</b><span><i class="camera"></i>Camera</span>{names}<span>a dot marks the start</span></p>' + "".join(parts)


def nice(value: float) -> float:
    """The nearest of 1, 2, 5 x 10^n that is not smaller."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= value * 0.999))


def _path(points) -> str:
    """SVG path data of (N, 2) points, lifted at NaN."""
    out, down = [], False
    for x, y in points:
        if not (np.isfinite(x) and np.isfinite(y)):
            down = False
            continue
        out.append(f"{'L' if down else 'M'}{x:.1f},{y:.1f}")
        down = True
    return "".join(out)
