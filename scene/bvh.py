"""An armature's motion as BVH.

Blender's own exporter writes Blender's Z-up axes, which other programs, and Blender's importer, take for a figure lying on
its back. Here the file is Y-up, in metres: p_bvh = Zᵀ p_world, with Z the turn from Y-up to Z-up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..solver.frames import R_zup_from_yup
from ..solver.records import save_text

_CHANNELS = "Zrotation Xrotation Yrotation"


def write_bvh(path: Path, names, parents, rest, tips, rotations, root_m, seconds_per_frame: float) -> None:
    """Write one figure.

    names, parents:     J joints, parents before children; the parent of the first is -1.
    rest, tips:         (J, 3) m, Z-up, where each joint is at rest, and the end of its bone.
    rotations:          (F, J, 3, 3) from the rest pose to the pose, both in the Z-up world.
    root_m:             (F, 3) m, Z-up, the first joint.
    """
    rest, tips, root_m = (np.asarray(v, float) @ R_zup_from_yup for v in (rest, tips, root_m))
    turned = R_zup_from_yup.T @ np.asarray(rotations, float) @ R_zup_from_yup
    columns = [root_m]
    lines = ["HIERARCHY"]

    def write(joint, depth):
        indent = "\t" * depth
        offset = rest[joint] - (rest[parents[joint]] if depth else 0)
        local = np.swapaxes(turned[:, parents[joint]], 1, 2) @ turned[:, joint] if depth else turned[:, joint]
        columns.append(_zxy_degrees(local))
        lines.append(f"{indent}{'JOINT' if depth else 'ROOT'} {names[joint]}")
        lines.append(indent + "{")
        lines.append(f"{indent}\tOFFSET " + _row(offset))
        place = "Xposition Yposition Zposition "
        lines.append(f"{indent}\tCHANNELS {3 if depth else 6} {'' if depth else place}{_CHANNELS}")
        children = [c for c, parent in enumerate(parents) if parent == joint]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.extend(
                [
                    f"{indent}\tEnd Site",
                    f"{indent}\t{{",
                    f"{indent}\t\tOFFSET {_row(tips[joint] - rest[joint])}",
                    f"{indent}\t}}",
                ]
            )
        lines.append(indent + "}")

    write(0, 0)
    table = np.concatenate(columns, 1)
    lines += ["MOTION", f"Frames: {len(table)}", f"Frame Time: {seconds_per_frame:.9f}", *(_row(row) for row in table)]
    save_text(path, "\n".join(lines) + "\n")


def _row(values) -> str:
    return " ".join(f"{v:.6f}" for v in values)


def _zxy_degrees(R):
    """Angles (F, 3) about z, x, y of rotations (F, 3, 3) = Rz Rx Ry, without jumps of a full turn."""
    across = np.hypot(R[:, 0, 1], R[:, 1, 1])
    plain = across > 1e-7  # else only the sum or the difference of two angles is defined
    x = np.arctan2(R[:, 2, 1], across)
    z = np.where(plain, np.arctan2(-R[:, 0, 1], R[:, 1, 1]), np.arctan2(R[:, 1, 0], R[:, 0, 0]))
    y = np.where(plain, np.arctan2(-R[:, 2, 0], R[:, 2, 2]), 0.0)
    return np.rad2deg(np.unwrap(np.stack([z, x, y], -1), axis=0))
