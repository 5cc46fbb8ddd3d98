"""The ways of finding a camera that table1.py compares: the product's own, the paper's, others', and the product's with a part left out.

Each is a Run that differs from the product's in one place. They exist for the table and are no options of the product.

- ours: the product.
- start: Ĉ, and f_H on it.
- pycolmap: incremental structure from motion, the take's masks given, in place of the slam stage.
- iNeRF: each frame alone, from Ĉ, by L_c only.
- paper: the chain of Eqs. 5-8, which forgets Ĉ after its first frame, under L_c + L_j. Its f_D is ours, which flatters it.
- no guard: C* whatever the judging evidence says. no L_c, no L_j, no L_b: that without one loss. The guard would hide what they do.
- no second f_H: ours, where S_w stays as Ĉ gave it.
- true people: ours with the true joints for S_w and for the detections, without L_c: how far people could carry the camera.
- true camera: ours with the true camera given: what S_c and f_H leave wrong. true joints: ours with the true places of shoulders,
  elbows, wrists, hips, knees and ankles in the picture for the detections: what the detector is to blame for. true masks: ours with
  the true masks for L_c and the outlines of f_H. true heights: ours as an artist has it who knows how tall everybody is. true tracks:
  ours with every background track where its point is: what the tracker is to blame for.
"""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from solver import slam
from solver.bundle.cameras import Model, residuals
from solver.bundle.solve import threads
from solver.film import stage
from solver.film.chain import se3_exp
from solver.film.losses import Joints
from solver.pipeline import Run
from solver.protocol import ShotError
from solver.slam import features, structure
from solver.take import read_mask

from ..metrics import align_cameras, path_length
from . import descent

STEPS_INERF, RATE_INERF = 150, 3e-3


class FrameTwists(nn.Module):
    """Every frame with a twist of its own, and no chain."""

    def __init__(self, start, turning_only=False):
        super().__init__()
        self.register_buffer("origin", start[0, :3, 3].clone())
        self.register_buffer("start", start.clone())
        self.turning_only = turning_only
        self.w, self.v = (nn.Parameter(torch.zeros(len(start), 3, dtype=start.dtype)) for _ in range(2))

    @property
    def w_first(self):
        return self.w

    @property
    def v_first(self):
        return self.v

    def first_pose(self):
        out = self()[0].clone()
        out[:3, 3] = out[:3, 3] - self.origin
        return out

    def forward(self):
        """T_world_from_cam (T, 4, 4): turned and moved in the camera's own axes."""
        v = torch.zeros_like(self.v) if self.turning_only else self.v
        return self.start @ se3_exp(self.w, v, 1.0)


class Start(Run):
    """Ĉ."""

    guarded = False  # the table shows what a method says, not what the guard thinks of it

    def solve(self, problem):
        return None

    def _film(self, shot, tracks, slam, start, model):
        problem = stage.pose_problem(
            shot, tracks, slam, start, self.mask, model, float(Fraction(shot.fps)), self.options, self.report
        )
        with threads(1):
            solution = self.solve(problem)
        film = stage.judge(problem, solution, start)
        if solution is not None and not self.guarded and film.used != "optimised":
            camera = stage.Camera(solution.T.detach().numpy(), solution.K.detach().numpy())
            film = dataclasses.replace(film, camera=camera, points_world=solution.xyz.detach().numpy(), used="optimised")
        return film


class INeRF(Start):
    """Frames one by one (Yen-Chen et al., 2021): here side by side, as nothing ties them."""

    def solve(self, problem):
        if problem.composition is None or not len(problem.composition):
            return None
        twists = FrameTwists(problem.T0, problem.turning_only)
        optimiser = torch.optim.Adam(twists.parameters(), lr=RATE_INERF)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS_INERF)
        for index in range(STEPS_INERF):
            optimiser.zero_grad()
            problem.composition.loss(descent.few(problem.composition, 3 * index // STEPS_INERF), twists(), problem.K0).backward()
            optimiser.step()
            schedule.step()
            self.report.progress(index, STEPS_INERF)
        return stage.Solution(twists().detach(), problem.K0, problem.xyz0)


class Paper(Start):
    """L_c + L_j on the chain that begins with every frame at c_1."""

    def solve(self, problem):
        problem = dataclasses.replace(problem, points=_none(problem.points))
        chain = descent.CameraChain(problem.T0, turning_only=False, follow_start=False)
        return descent.optimise(problem, chain, self.report)


class Without(Start):
    """Ours without the guard, and with one thing more left out."""

    lacks = ""

    def solve(self, problem):
        if self.lacks == "L_c":
            problem = dataclasses.replace(problem, composition=None)
        elif self.lacks == "L_j":
            problem = dataclasses.replace(problem, joints=_none(problem.joints))
        elif self.lacks == "L_b":
            problem = dataclasses.replace(problem, points=_none(problem.points))
        return stage.optimise(problem, self.report)


class TruePeople(Start):
    """L_j + L_b with exact people, in the world of Ĉ."""

    def solve(self, problem):
        truth = self.options.source.parent / "truth"
        with np.load(truth / "camera.npz") as file:
            true = file["T_world_from_cam"]
        start = problem.T0.numpy()
        scale, R, t = align_cameras(true, start, with_scale=path_length(true) > 0.1)
        frame, xyz, xy, weight = [], [], [], []
        for path in sorted((truth / "people").glob("*.npz")):
            with np.load(path) as file:
                f, j = np.nonzero(file["joints_2d"][..., 2] > 0)
                frame.append(file["frame"][f])
                xyz.append(scale * file["joints_world"][f, j] @ R.T + t)
                xy.append(file["joints_2d"][f, j, :2])
                weight.append(np.ones(len(f)))
        pick = lambda parts: torch.as_tensor(np.concatenate(parts))
        joints = Joints(pick(frame).long(), pick(xyz), pick(xy), pick(weight))
        return stage.optimise(dataclasses.replace(problem, joints=joints, composition=None), self.report)


class TrueJoints(Run):
    """The true limbs in the picture in place of those detected; everything else is as it was found."""

    # Of keypoints 5..16 (shoulders to ankles), the joint of the truth
    LIMBS = (16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)

    def _edit(self, edited, labels):
        tracks = super()._edit(edited, labels)
        truths = []
        for path in sorted((self.options.source.parent / "truth" / "people").glob("*.npz")):
            with np.load(path) as file:
                truths.append(file["joints_2d"][:, self.LIMBS])
        truths, found = np.array(truths), tracks.keypoints_2d[:, :, 5:17]
        keypoints = tracks.keypoints_2d.copy()
        for p, t in np.argwhere(tracks.visible):
            sure = (found[p, t, :, 2] > 0.3) & (truths[:, t, :, 2] > 0)
            off = np.linalg.norm(truths[:, t, :, :2] - found[p, t, :, :2], axis=-1)
            mean = np.where(sure.sum(-1) > 2, (off * sure).sum(-1) / np.maximum(sure.sum(-1), 1), np.inf)
            if mean.min() < 0.2 * np.ptp(found[p, t, :, 1]):
                keypoints[p, t, 5:17] = truths[mean.argmin(), t]
        return dataclasses.replace(tracks, keypoints_2d=keypoints)


class TrueHeights(Run):
    """Everybody's true height given, as `take TAKE height` gives it."""

    def _edit(self, edited, labels):
        tracks = super()._edit(edited, labels)
        for path in sorted((self.options.source.parent / "truth" / "people").glob("*.npz")):
            with np.load(path) as file:
                limbs, height = file["joints_2d"][:, TrueJoints.LIMBS], float(file["height_m"])
            sure = (tracks.keypoints_2d[:, :, 5:17, 2] > 0.3) & (limbs[:, :, 2] > 0)
            off = np.linalg.norm(limbs[..., :2] - tracks.keypoints_2d[:, :, 5:17, :2], axis=-1)
            off = np.array([np.median(o[s]) if s.any() else np.inf for o, s in zip(off, sure)])
            if off.min() < 20:  # px; else this one was never found
                self.corrections = self.corrections.with_item("height", person=int(tracks.ids[off.argmin()]), metres=height)
        return tracks


class TrueMasks(Run):
    """The true instance masks for L_c and for the outlines of f_H in place of those found, each person by the number found for them."""

    def _film(self, shot, tracks, slam, start, model):
        shared = np.zeros((256, 256), int)
        for index in range(0, shot.frames, 4):
            np.add.at(shared, (self._true(index), super().mask(index)), 1)
        rows, columns = linear_sum_assignment(-shared[1:, 1:])
        self.numbers = np.zeros(256, np.uint8)
        self.numbers[1:][rows] = np.where(shared[1:, 1:][rows, columns] > 0, columns + 1, 0)
        return super()._film(shot, tracks, slam, start, model)

    def _true(self, index):
        return read_mask(self.options.source.parent / "truth" / "masks" / f"{index:06d}.png")

    def mask(self, index):
        return self.numbers[self._true(index)]


class TrueTracks(Run):
    """Every background track put where its point is: what errors of tracks do to Ĉ. Triangulated under the true camera, and projected again."""

    def _slam(self, shot, frames, tracks):
        size = shot.width, shot.height
        followed = features.follow(frames, shot.frames, size, self.mask, self.report)
        with np.load(self.options.source.parent / "truth" / "camera.npz") as file:
            T, K = file["T_world_from_cam"][: shot.frames], file["K"][: shot.frames]
        truth = Model(np.swapaxes(T[:, :3, :3], 1, 2), T[:, :3, 3], np.log(K[:, 0, 0]), *np.zeros((2, 0)))
        obs, points = followed.obs, len(followed.colours)
        truth.d, truth.w = structure.triangulate(truth, obs, size, points)
        off, ray = residuals(truth, obs, size)
        exact = dataclasses.replace(obs, xy=obs.xy + off)
        return slam.solve(exact.only(ray[:, 2] > 0.05 * truth.w[obs.point]), followed.colours, shot.frames, size, None, self.report)


class OneWorld(Run):
    """Without the second f_H: S_w as Ĉ gave it, seen through C*."""

    def _world_again(self, shot, tracks, slam, body, start, film, model):
        final = dataclasses.replace(start, camera=film.camera, points_world=film.points_world)
        self._publish(shot, tracks, slam, start, final, model)
        return final


def _without(part):
    return type(f"Without{part}", (Without,), {"lacks": part})


METHODS = {
    "pycolmap": Start, "start": Start, "iNeRF": INeRF, "paper": Paper, "ours": Run,
    "no L_c": _without("L_c"), "no L_j": _without("L_j"), "no L_b": _without("L_b"),
    "no guard": _without("guard"),
    "no second f_H": OneWorld, "true people": TruePeople, "true camera": Run, "true joints": TrueJoints,
    "true heights": TrueHeights, "true masks": TrueMasks, "true tracks": TrueTracks,
}  # fmt: skip
BASELINES = ("pycolmap", "start", "iNeRF", "paper", "ours")


def _none(evidence):
    return evidence.part(torch.zeros(len(evidence.frame), dtype=torch.bool))


def colmap(frames, masks, count, folder: Path) -> np.ndarray:
    """Run pycolmap over a shot and write its largest model as text into `folder`/text, for `--camera`; what is there is kept.

    frames: index to RGB. masks: index to instance mask; people are left out. Returns which frames it placed (count,) bool.
    Raises ShotError where it finds no model.
    """
    import pycolmap

    if (folder / "placed.npy").exists():
        placed = np.load(folder / "placed.npy")
        if not placed.any():
            raise ShotError("pycolmap found no camera in this shot.")
        return placed
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for i in range(count):
        name = f"{i:06d}.png"
        cv2.imwrite(str(folder / "images" / name), np.ascontiguousarray(frames(i)[..., ::-1]))
        people = cv2.dilate((masks(i) > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), 255 * (1 - people))
    pycolmap.logging.minloglevel = 2
    database = folder / "database.db"
    reader = pycolmap.ImageReaderOptions()
    reader.mask_path, reader.camera_model = str(folder / "masks"), "SIMPLE_PINHOLE"
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.num_threads, extraction.use_gpu = 1, False
    pycolmap.extract_features(
        database, folder / "images", camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader, extraction_options=extraction
    )
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads, matching.use_gpu = 1, False
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap = 10, True
    pycolmap.match_sequential(database, matching_options=matching, pairing_options=pairing)
    found = pycolmap.incremental_mapping(database, folder / "images", folder / "sparse")
    placed = np.zeros(count, bool)
    if not found:
        np.save(folder / "placed.npy", placed)
        raise ShotError("pycolmap found no camera in this shot.")
    best = max(found.values(), key=lambda model: model.num_reg_images())
    (folder / "text").mkdir()
    best.write_text(folder / "text")
    for image in best.images.values():
        if image.has_pose:
            placed[int(Path(image.name).stem)] = True
    np.save(folder / "placed.npy", placed)
    return placed
