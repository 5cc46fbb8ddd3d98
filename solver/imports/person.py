"""One track of another program, as the readers give it and the rest of the solver takes it. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rest pelvis of the mean neutral body, metres; shapes move it by a centimetre or two. SMPL-H has SMPL's.
REST_PELVIS = {
    "smpl": (-0.0018, -0.2233, 0.0282),
    "smplh": (-0.0018, -0.2233, 0.0282),
    "smplx": (0.0031, -0.3514, 0.0120),
}


@dataclass
class Person:
    """One imported track of F frames."""

    name: str  # the file and the track in it, for messages
    family: str  # "smpl" | "smplh" | "smplx" | "reshoot": whose betas and rest pelvis these are
    space: str  # "camera" (S_c) | "world" (S_w, Z-up)
    poses: np.ndarray  # (F, 24, 3) rotvec, root first
    trans: np.ndarray  # (F, 3) m
    betas: np.ndarray  # (10,)
    frame: np.ndarray  # (F,) int, index in the shot, rising; -1 outside it as the layouts give it
    T_world_from_cam: np.ndarray | None = None  # (F, 4, 4) OpenCV camera in the track's Z-up world
    K: np.ndarray | None = None  # (F, 3, 3) px of the shot's frames
    number: np.ndarray | None = None  # (F,) int, as the file counts, from 0
    rate: float | None = None  # poses a second, where the file says
    lens_known: bool = True  # False where K is the program's default
    file: str = ""  # of which file or folder; its people keep one time
    rest_pelvis: np.ndarray | None = None  # (3,) m, set by read_people
    raw: Person | None = None  # every row of the file, for another reading; set by read_people
    R_zup_from_world: np.ndarray | None = (
        None  # (3, 3) as the layouts give it; read_people turns the track and drops it
    )

    @property
    def root(self):
        """Pelvis (F, 3) in the track's space."""
        return self.rest_pelvis + self.trans
