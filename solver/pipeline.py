"""The stages in order, each saved as it ends, so that a stopped run goes on where it was.

shot → seen → track → slam → body → world → film → masks → world → plate → report
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from . import corrections, records
from .frames import invert
from .options import Options
from .protocol import Reporter, ShotError, Stopped
from .records import Film, People, Seen, Shot, Slam, Tracks, World, load_record, save_record
from .take import SCHEMA_VERSION, Take, held, read_mask, write_mask, write_results

# Raised when a stage's results change for the same inputs, so that old takes are solved again and not resumed.
STAGE_VERSION = {
    "shot": 1, "seen": 4, "track": 11, "edits": 6, "slam": 12, "body": 12, "world_start": 25, "film": 5, "masks": 2, "world": 25, "plate": 9, "report": 11,
}  # fmt: skip


class Run:
    """One extraction. Each method is one stage: typed inputs to a typed result."""

    def __init__(self, options: Options, report: Reporter):
        self.options = options
        self.asked = options.to_json()  # before corrections have a say
        self.report = report
        self.take = Take(options.take)
        self.keys: dict[str, str] = {}
        self.state: dict = {}
        self.backend = None  # nets of the artist's own, where they gave any

    def extract(self) -> Path:
        """Run what is not done yet. Raises ShotError, Stopped. Returns the take folder."""
        self._check_folder()
        from .body.model import BodyModel

        corrected = self.corrections = corrections.load(self.options.take)
        if corrected.focal_mm and not (self.options.focal_mm or self.options.fov):
            self.options = replace(self.options, focal_mm=corrected.focal_mm)
        o = self.options
        model = BodyModel.load(o.smpl)
        with ExitStack() as stack:
            return self._solve(self._open_shot(model, stack), model)

    def _solve(self, shot, model) -> Path:
        """What follows the stage *shot*."""
        from .imports import digest
        from .shot.shot import Frames

        o, corrected = self.options, self.corrections
        frames = self.frames = Frames(shot)
        files = [key for key in (digest(o.masks, o.joints, *o.people, o.camera, o.backend),) if key]
        try:
            seen, backend = None, [key for key in (digest(o.backend),) if key]
            if self.masks is None and self.joints is None:
                seen = self._stage("seen", Seen, ("shot",), lambda: self._seen(shot, frames), o.quality, *backend)
            raw = self._stage(
                "track", Tracks, ("shot",) if seen is None else ("shot", "seen"), lambda: self._track(shot, frames, model, seen), o.quality,
                *files, o.most or "", list(o.only), corrected.key("track"),
            )
            self._use_given(raw.provenance.get("given", {}), shot)
            edited, labels = corrections.apply_to_tracks(raw, corrected)
            self.labels = labels
            tracks = self._stage("edits", Tracks, ("track",), lambda: self._edit(shot, frames, edited, labels), corrected.key("edits"))
            slam = self._stage(
                "slam", Slam, ("shot", "edits"), lambda: self._slam(shot, frames, tracks), o.focal_mm, o.fov, digest(o.camera),
                o.camera_kind or "",
            )
            body = self._stage(
                "body", People, ("edits", "slam"), lambda: self._body(shot, tracks, slam, model, raw, labels), model.name,
                corrected.key("body"),
            )  # fmt: skip
            start = self._stage(
                "world_start", World, ("body",), lambda: self._world(shot, tracks, slam, body, model), corrected.key("world"), o.quality
            )
            film = self._stage(
                "film", Film, ("world_start",), lambda: self._film(shot, tracks, slam, start, model), o.quality, o.seed
            )
            self._stage("masks", dict, ("film",), lambda: self._label(shot, frames, slam, start, film, model), o.quality)
            world = self._stage(
                "world", World, ("film", "masks"), lambda: self._world_again(shot, tracks, slam, body, start, film, model)
            )
            self.state["verdict"] = world.carried or slam.verdict
            if o.plate:
                self._stage(
                    "plate", dict, ("slam", "world"), lambda: self._plate(shot, frames, tracks, slam, world, model, seen), *([o.inpainter] if o.inpainter else [])
                )
            self._stage(
                "report", dict, ("world",), lambda: self._report(shot, frames, tracks, slam, start, film, world, model), o.plate
            )
        except BaseException:
            with suppress(OSError):  # where the disk is full or gone, that was said by what ended the run
                self._save_state()
            raise
        self.state["complete"] = True  # the run that these options asked for came to its end
        self._save_state()
        self.report.result(str(self.take.folder))
        return self.take.folder

    # -- stages

    def _open_shot(self, model, stack) -> Shot:
        """The shot is read before anything is written, so that bad input leaves nothing behind. The take is held from then on."""
        from .shot import shot as stage

        o = self.options
        begun = time.monotonic()
        self.report.begin("shot")
        fresh = stage.run(o.source, o, self.report)
        self._read_imports(fresh, model)
        self.take.stages.mkdir(parents=True, exist_ok=True)
        stack.enter_context(held(self.take.stages))
        self.state = {} if o.restart or not self.take.shot_json.exists() else self.take.read()
        self.state.update(
            schema_version=SCHEMA_VERSION,
            source={
                "path": fresh.path,
                "sha256": fresh.sha256,
                "fps": fresh.fps,
                "width": fresh.width,
                "height": fresh.height,
                "original_width": fresh.original_width,
                "original_height": fresh.original_height,
                "start_frame": fresh.start_frame,
                "frames": fresh.frames,
                "unmeasured": np.flatnonzero(~fresh.fresh).tolist(),
                "source_fps": fresh.source_fps,
                "first_number": fresh.first_number,
                "timecode": fresh.timecode,
                "conformed": fresh.conformed,
            },
            quality=o.quality,
            options=self.asked,
        )
        self.state.setdefault("verdict", "")
        self.state.setdefault("people", [])
        self.state.setdefault("stages", {})
        self.state["complete"] = False
        self._save_state()  # whatever ends the run from here on, the folder is known for a take
        parts = fresh.sha256, fresh.start_frame, fresh.frames, fresh.width, fresh.height, fresh.fps
        # What a plain film does not have.
        plain = fresh.fresh.all() and np.array_equal(fresh.picture, fresh.start_frame + np.arange(fresh.frames))
        parts += () if plain else (fresh.picture.tolist(), fresh.fresh.tolist())
        parts += ("interlaced",) * fresh.interlaced + (fresh.transfer,) * bool(fresh.transfer)
        known = self.state["stages"].get("shot", {}).get("inputs_sha")
        self.keys["shot"] = self._key("shot", (), *parts)
        if fresh.conformed and not (known == self.keys["shot"] and self.take.film.exists()):
            stage.write_film(fresh, self.take.film, self.report)
        elif not fresh.conformed:
            self.take.film.unlink(missing_ok=True)
        save_record(self.take.stage("shot"), fresh)
        self._done("shot", time.monotonic() - begun)
        return fresh

    def _read_imports(self, shot, model) -> None:
        from . import imports
        from .plate.inpaint import parts
        from .track import chosen

        o = self.options
        self.masks = imports.read_masks(o.masks, shot) if o.masks else None
        self.joints = imports.read_joints(o.joints, shot) if o.joints else None
        self.known = imports.read_camera(o.camera, shot, o, self.report) if o.camera else None
        self.backend = chosen.backend_of(o.backend, o.device) if o.backend else None
        if o.inpainter:
            parts(o.inpainter)
        self.people = imports.read_people(o.people, shot, model, self.report, o) if o.people else []

    def _use_given(self, facts, shot) -> None:
        """The camera and the people as the film showed them to be, also where a run goes on."""
        from . import imports

        self.known, self.people = imports.as_given(facts, self.known, self.people, shot)
        if facts:
            self.state["given"] = facts
        else:
            self.state.pop("given", None)

    def _seen(self, shot, frames) -> Seen:
        from . import track

        return track.survey(shot, frames, self.take.folder, self.options, self.report, self.backend)

    def _track(self, shot, frames, model, seen) -> Tracks:
        from . import imports, track

        corrections.forget_masks(self.take)
        (self.take.folder / "masks").mkdir(exist_ok=True)
        if self.masks is not None or self.joints is not None:
            self.take.seen.unlink(missing_ok=True)
            tracks = imports.tracks_from_imports(shot, frames, self.take.folder, self.masks, self.joints, self.report, self.backend)
        else:
            only, added = self.corrections.chosen(self.options.only)
            tracks = track.run(shot, frames, self.take.folder, self.options, self.report, self.backend, seen, only, added)
        given = imports.against_film(shot, frames, tracks, self.mask, self.known, self.people, model, self.report)
        if given.people:
            known = given.known.camera if given.known else None
            tracks, _ = imports.add_people(tracks, given.people, shot, self.take.folder, model, known, self.report)
        if given.facts:
            tracks.provenance["given"] = {**tracks.provenance.get("given", {}), **given.facts}
        return tracks

    def _edit(self, shot, frames, edited, labels) -> Tracks:
        from .corrections.on_tracks import show_joints
        from .track import faces, hands, lost, outlined
        from .track.backend import Embedded

        corrections.relabel_masks(self.take, labels)
        self.state["stages"].pop("masks", None)  # what it drew is gone, also where later stages are as they were
        shutil.rmtree(self.take.outlined, ignore_errors=True)
        outlines = [outlined.of_shares(item, shot.width, shot.height) for item in self.corrections.in_the_picture("outline", shot.frames)]
        if self.masks is None and self.joints is None and not self.people:
            told = self.corrections.settled() | {outline.person for outline in outlines}
            outlines += lost.outlines(edited, self.drawn, shot.width, shot.height, told)
        if outlines:
            tracks, masks = outlined.follow(shot, frames, edited, self.drawn, outlines, self.backend or Embedded(), self.report)
            beside = self.take.outlined.with_name("outlined.part")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            for index, mask in masks.items():
                write_mask(beside / f"{index:06d}.png", mask)
                write_mask(self.take.mask(index), mask)
            beside.rename(self.take.outlined)
            edited = tracks
        edited = show_joints(edited, self.corrections, shot.width, shot.height, self.report)
        # after all corrections, for a hand is whose wrist it hangs on
        return faces.run(shot, frames, hands.run(shot, frames, edited, self.report), self.report)

    def _slam(self, shot, frames, tracks) -> Slam:
        from . import imports, slam
        from .slam import edges

        if self.known is not None:
            found = imports.slam_from_camera(self.known, shot, frames, self.drawn, self.report)
            return replace(found, edges=edges.straight(shot, frames, self._no_background))
        return slam.run(shot, frames, tracks, self._no_background, self.options, self.report)

    def _body(self, shot, tracks, slam, model, raw, labels) -> People:
        from . import imports
        from .body import body

        fitted = body.run(tracks, slam, model, _fps(shot), self.report, self.corrections.height_prior(tracks.ids))
        if not self.people:
            return fitted
        # corrections speak of tracks: the imported bodies go where their tracks went
        ids = [labels[:, i] for i in raw.provenance["imported_people"]]
        return imports.overlay(fitted, self.people, ids, slam.camera.K, model, self.known.camera if self.known else None)

    def _world(self, shot, tracks, slam, body, model) -> World:
        from .slam import VERDICT_OF_KIND
        from .world import world
        from .world.carried import NOBODY_TELLS, carried

        camera, kind = slam.camera, ""
        if slam.unknown and not self.people:
            heights = self.corrections.height_prior(tracks.ids)
            found = carried(tracks, slam, model, _fps(shot), heights, self.report, VERDICT_OF_KIND.get(self.options.camera_kind))
            if found:
                camera, body, kind = found.camera, found.people or body, found.kind
        elif slam.unknown:
            self.report.warn(NOBODY_TELLS)  # people who were brought stay as they are
        # Without outlines: bodies that were fitted to them through Ĉ would speak for Ĉ in the film stage.
        made = world.run(
            tracks, slam, body, camera, slam.points_world, model, _fps(shot), self.drawn, self.report, corrected=self.corrections,
            quick=self.options.quality == "preview", size=(shot.width, shot.height),
        )
        return replace(made, carried=kind)

    def _film(self, shot, tracks, slam, start, model) -> Film:
        from .film import stage as film
        from .film.watch import Watch

        watch = Watch(self.take.stages / "film.jpg", self.frames, self.drawn, start.people.ids, start.people.visible)
        return film.run(shot, tracks, slam, start, self.drawn, model, _fps(shot), self.options, self.report, watch)

    def _label(self, shot, frames, slam, start, film, model) -> dict:
        import cv2

        from . import masks
        from .masks.soft import read_soft, small_size

        lines = small_size(shot.width, shot.height)[1]
        people = start.people
        row_of = {int(person): row for row, person in enumerate(people.ids)}
        told = {item["frame"] for item in self.corrections.in_the_picture("outline", shot.frames)}

        def soft(index):
            said = read_soft(self.take.nets / f"{index:06d}.png", lines) if shot.fresh[index] else None
            if said is None or index in told:
                return None
            if (self.take.outlined / f"{index:06d}.png").exists():  # the nets took several for one there, and the outlines have told whose is what
                drawn = cv2.resize(self.drawn(index), said.shape[:0:-1], interpolation=cv2.INTER_NEAREST)
                return {row: 255 * (drawn == person).astype(np.uint8) for person, row in row_of.items() if (drawn == person).any()}
            found = {}
            for person, mask in zip(self.labels[index, 1:], said):
                row = row_of.get(int(person))
                if row is not None and mask.any():
                    found[row] = np.maximum(mask, found.get(row, 0))
            return found

        for index in range(shot.frames):
            write_mask(self.take.mask(index), self.drawn(index))
        if self.options.quality == "final" and len(people.ids) and self.masks is None:
            for index, mask in masks.run(shot, frames, self.drawn, soft, people, film.camera, slam, model, self.report):
                write_mask(self.take.mask(index), mask)
        return {}

    def _world_again(self, shot, tracks, slam, body, start, film, model) -> World:
        from .world import world

        camera, points = world.to_slam(film.camera, film.points_world, start)
        quick = self.options.quality == "preview"
        final = world.run(tracks, slam, body, camera, points, model, _fps(shot), self.mask, self.report, start, self.corrections, quick, (shot.width, shot.height))
        final = replace(final, carried=start.carried)
        self._publish(shot, tracks, slam, start, final, model)
        return final

    def _plate(self, shot, frames, tracks, slam, world, model, seen=None) -> dict:
        from . import plate
        from .plate import missed
        from .track import look, lost
        from .track.backend import Embedded
        from .world.world import posed

        # A frame without a picture of its own shows the one before, so it gets the plate of that one.
        shown = np.maximum.accumulate(np.where(shot.fresh, np.arange(shot.frames), 0))
        camera = records.Camera(world.camera.T_world_from_cam[shown], world.camera.K[shown])

        missing = {}
        if self.masks is None:
            missing = lost.remains(shot, frames, tracks, lambda index: self.mask(int(shown[index])), self.report)

        def masks(index):
            """The video's mask, where it shows nobody the solved bodies (who passes behind others, and legs that no mask has), and what was carried on of who was lost."""
            mask, solved = self.mask(int(shown[index])), self.solved(int(shown[index]))
            mask = np.where(mask == 0, solved, mask)
            for item in missing.get(int(shown[index]), ()):
                mask[item.mask & (mask == 0)] = item.person
            return mask

        _, _, vertices = posed(world.people, model)
        faces = model.faces.numpy()

        def bodies(index):
            seen = np.flatnonzero(world.people.visible[:, shown[index]])
            return [vertices(p, int(shown[index])) for p in seen], [int(world.people.ids[p]) for p in seen], faces

        listed = self.take.read_seen() if seen is not None else []
        others = missed.Others(shown, masks, missing, seen, listed, self.labels, world.people.ids, world.people.visible, vertices, camera)
        backend = self.backend or Embedded()
        return plate.run(
            shot, frames, masks, camera, slam, self.take.folder, self.report, bodies, lambda picture: look.people(backend, picture),
            self.options.quality == "final", self.options.inpainter, others.known, others.left_out, world.points_world,
        )  # fmt: skip

    def _report(self, shot, frames, tracks, slam, start, film, world, model) -> dict:
        from . import report
        from .report import preview

        preview.run(shot, frames, world, model, self.take.folder, self.report)
        self._save_state()
        return report.run(
            self.take.folder, shot, frames, tracks, slam, start, film, world, self.mask, self.solved, model, self.state, self.report
        )

    # -- results

    def _publish(self, shot, tracks, slam, start, world, model) -> None:
        """camera.npz, people/, points.npz and solved/ of the final world."""
        from .raster import instance_mask
        from .world.world import posed

        joints, _, vertices = posed(world.people, model)
        start_camera = start_in_world(start, world)
        self.state["people"] = write_results(
            self.take, world, tracks, start_camera, model.name, shot, joints, slam.colours
        )
        (self.take.folder / "solved").mkdir(exist_ok=True)
        faces = model.faces.numpy()
        for index in range(shot.frames):
            self.report.progress(index, shot.frames, "Drawing the solved people")
            seen = np.flatnonzero(world.people.visible[:, index])
            mask = instance_mask(
                [vertices(p, index) for p in seen], faces, [int(world.people.ids[p]) for p in seen],
                world.camera.T_world_from_cam[index], world.camera.K[index], shot.width, shot.height,
            )  # fmt: skip
            write_mask(self.take.solved(index), mask)

    def mask(self, index: int) -> np.ndarray:
        """Instance mask (H, W) of the video."""
        return read_mask(self.take.mask(index))

    def drawn(self, index: int) -> np.ndarray:
        """Instance mask (H, W) of the video as *track* drew it and corrections changed it, whatever later stages know."""
        outlined = self.take.outlined / f"{index:06d}.png"
        return read_mask(outlined) if outlined.exists() else self.labels[index][read_mask(self.take.drawn(index))]

    def _no_background(self, index: int) -> np.ndarray:
        """Mask (H, W) of the video in which people, and what the artist's masks ignore, are not 0."""
        mask = self.drawn(index)
        return mask if self.masks is None else np.where(self.masks.ignored(index), 255, mask)

    def solved(self, index: int) -> np.ndarray:
        """Instance mask (H, W) of the solved people through the solved camera."""
        return read_mask(self.take.solved(index))

    # -- bookkeeping

    def _stage(self, name, cls, needs, compute, *inputs):
        """Load the stage's result if it was made from the same inputs, else compute and save it."""
        key = self.keys[name] = self._key(name, needs, *inputs)
        known = self.state["stages"].get(name, {})
        if known.get("status") == "done" and known.get("inputs_sha") == key and (cls is dict or self.take.stage(name).exists()):
            for message in known.get("warnings", []):
                self.report.warn(message)
            return None if cls is dict else load_record(self.take.stage(name), cls)
        if self.options.until and self._order(name) > self._order(self.options.until):
            raise Stopped
        self.report.begin(name)
        self.state["stages"][name] = {"status": "running", "seconds": 0.0, "inputs_sha": key}
        self._save_state()
        begun, warned = time.monotonic(), len(self.report.warnings)
        result = compute()
        if cls is not dict:
            save_record(self.take.stage(name), result)
        self._done(name, time.monotonic() - begun, self.report.warnings[warned:])
        return result

    @staticmethod
    def _order(name: str) -> int:
        return list(STAGE_VERSION).index(name)

    def _key(self, name, needs, *inputs) -> str:
        parts = [name, STAGE_VERSION[name], [self.keys[n] for n in needs], [str(i) for i in inputs]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _done(self, name, seconds, warnings=()) -> None:
        self.state["stages"][name] = {
            "status": "done", "seconds": round(seconds, 2), "inputs_sha": self.keys[name], "warnings": list(warnings),
        }  # fmt: skip
        self._save_state()

    def _save_state(self) -> None:
        self.state["warnings"] = list(self.report.warnings)
        self.take.write(self.state)

    def _check_folder(self) -> None:
        folder = self.take.folder
        if folder.exists() and not folder.is_dir():
            raise ShotError(f"{folder} is a file.", "Choose a folder for the take.")
        begun = {"stages", "shot.json.part"}  # what a run leaves that was killed before it could say what it is
        if folder.is_dir() and {path.name for path in folder.iterdir()} - begun and not self.take.shot_json.exists():
            raise ShotError(f"{folder} is not empty and not a take.", "Choose a new folder for the take.")
        parent = folder if folder.is_dir() else folder.parent
        while not parent.exists():
            parent = parent.parent
        try:
            with tempfile.TemporaryFile(dir=parent):  # asked by doing it: rights do not tell all
                pass
        except OSError as error:
            raise ShotError(f"Nothing can be written in {parent}.", "Choose a folder that you may write to.") from error


def _fps(shot: Shot) -> float:
    return float(Fraction(shot.fps))


def start_in_world(start: World, final: World) -> records.Camera:
    """The start camera in the final world: both worlds come from the same SLAM frame."""
    T = start.camera.T_world_from_cam.copy()
    ratio = final.scale / start.scale
    to_final = final.T_world_from_slam @ _scaled(invert(start.T_world_from_slam), ratio)
    T[:, :3, 3] = (to_final[:3, :3] @ T[:, :3, 3].T).T + to_final[:3, 3]
    T[:, :3, :3] = final.T_world_from_slam[:3, :3] @ start.T_world_from_slam[:3, :3].T @ T[:, :3, :3]
    return records.Camera(T, start.camera.K.copy())


def _scaled(T, scale):
    out = T.copy()
    out[:3] *= scale
    return out


def extract(options: Options, report: Reporter) -> Path:
    """Solve one shot into `options.take`. Raises ShotError for what an artist can mend, Stopped if asked to stop."""
    return Run(options, report).extract()
