"""Steps under feet that stand on something over the ground: what shadows fall on in the film, and what carries the characters in a set."""

from __future__ import annotations

import bpy
import numpy as np

from ..retarget import load_track
from ..retarget.feet import stands
from ..solver.stairs import footholds
from .take import TakeData


def add_steps(take: TakeData, name: str, parent, down=True):
    """One mesh of boxes from the ground up under each foothold of a take, or of their tops alone, as an object in no collection yet; None where everybody is on the ground."""
    vertices, faces = [], []
    for person in take.people:
        track = load_track(take.folder, person.id)
        stood = stands(track, *track.forward())
        for foothold in footholds(stood.points, stood.contact):
            first, top = len(vertices), foothold.corners()
            vertices += [tuple(v) for v in top]
            faces.append(tuple(first + i for i in range(4)))
            if down:
                vertices += [tuple(v) for v in top * [1, 1, 0]]
                faces += [(first + i, first + 4 + i, first + 4 + (i + 1) % 4, first + (i + 1) % 4) for i in range(4)]
    if not vertices:
        return None
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices, float).tolist(), [], faces)
    item = bpy.data.objects.new(name, mesh)
    item.parent = parent
    return item
