"""What the transfers look like: two shots of examples/, every mode, in pictures and one short film. Run by `make gallery`.

    python -m tools.gallery [--out FOLDER] [--samples N] [--engine CYCLES|EEVEE|WORKBENCH]

    one.jpg, both.jpg          crossing: one person replaced and the other kept; both replaced
    alone.jpg                  shot: the person replaced
    camera.jpg                 shot: its camera alone, in the landscape, framed on somebody else
    street.jpg night.jpg stage.jpg    camera and people in a new set, by day and by night
    slow.jpg                   the same at half speed, without the camera's shake
    cast.png sets.png          contact sheets: characters in the film; sets and lights
    side_by_side.mp4           crossing, one replaced, and the street by night, beside each other
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from solver.movie import MovieWriter

from .demo import CHARACTERS, EXAMPLE, ROOT, done, import_character, load_extension, solved

CROSSING = ROOT / "examples" / "crossing.mp4"
MOMENTS = (0.2, 0.5, 0.8)  # of a shot, on a strip
WIDTH = 640  # of a strip's pictures


class Gallery:
    """Renders into one folder."""

    def __init__(self, bpy, out: Path, engine: str, samples: int, say=print):
        from reshoot.scene import render

        self.bpy, self.out, self.say, self.render = bpy, Path(out), say, render
        self.options = {"engine": engine, "samples": samples}
        self.out.mkdir(parents=True, exist_ok=True)

    def load(self, take: Path, name: str):
        """A scene of its own with a take and a character for each of its people. Returns the scene and the characters."""
        bpy = self.bpy
        scene = bpy.data.scenes.new(name)
        bpy.context.window.scene = scene
        done(bpy.ops.shot.load_take(directory=str(take), match_scene=True), "Load Take")
        rigs = []
        for number, person in enumerate(p["id"] for p in json.loads((take / "shot.json").read_text(encoding="utf-8"))["people"]):
            rig = import_character(bpy, CHARACTERS[number % len(CHARACTERS)], f"{name} {person}")
            done(bpy.ops.shot.retarget(person=person, armature=rig.name), f"Retarget of person {person}")
            rigs.append(rig)
        return scene, rigs

    def set_up(self, operator, name: str, **arguments):
        """The scene that an operator makes."""
        done(operator(scene_name=name, **self.options, **arguments), name)
        scene = self.bpy.data.scenes[name]
        if scene.render.engine == "CYCLES":  # a gallery is to be over soon
            scene.cycles.denoising_quality, scene.cycles.denoising_prefilter = "FAST", "FAST"
        return scene

    def strip(self, scene, file: str) -> None:
        """Three moments of a scene beside each other."""
        span = scene.frame_end - scene.frame_start
        pictures = self._pictures(scene, [scene.frame_start + round(share * span) for share in MOMENTS])
        cv2.imwrite(str(self.out / file), np.hstack([self._fitted(p) for p in pictures]), [cv2.IMWRITE_JPEG_QUALITY, 88])
        self.say(f"{self.out / file}")

    def film(self, clip: Path, scenes, file: str) -> None:
        """A clip and scenes of as many frames beside each other, half size each."""
        rate, frames = _frames(clip)
        columns = [frames]
        for scene in scenes:
            scene.render.resolution_percentage = 50  # as large as it is shown: a quarter of the time
            columns.append(self._pictures(scene, range(scene.frame_start, scene.frame_end + 1)))
            scene.render.resolution_percentage = 100
        with MovieWriter(self.out / file, rate) as movie:
            for row in zip(*columns):
                picture = np.hstack([self._fitted(p, WIDTH // 2) for p in row])
                movie.write(np.ascontiguousarray(picture[..., ::-1]))
        self.say(f"{self.out / file}")

    def _pictures(self, scene, frames) -> list:
        with tempfile.TemporaryDirectory() as folder:
            return [cv2.imread(str(self.render.still(scene, Path(folder) / f"{frame}.png", frame))) for frame in frames]

    @staticmethod
    def _fitted(picture, width=WIDTH):
        height = round(picture.shape[0] * width / picture.shape[1])
        return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _frames(clip: Path):
    """Frames a second, and the frames BGR of a movie."""
    movie = cv2.VideoCapture(str(clip))
    rate, frames = movie.get(cv2.CAP_PROP_FPS), []
    while True:
        more, frame = movie.read()
        if not more:
            return rate, frames
        frames.append(frame)


def make(gallery: Gallery, shot: Path, crossing: Path, clip: Path) -> None:
    """Everything, from two takes: one of one person, one of two; clip is the film of the second."""
    bpy = gallery.bpy
    shop = bpy.ops.shot
    gallery.load(shot, "Shot")
    gallery.strip(gallery.set_up(shop.setup_composite, "Alone"), "alone.jpg")
    stand_in = import_character(bpy, CHARACTERS[-1], "Somebody Else")
    stand_in.location = (5, 5, 0)
    bpy.context.view_layer.update()
    camera = gallery.set_up(shop.setup_scene, "Camera Alone", content="CAMERA", surroundings="LANDSCAPE", light="GOLDEN_HOUR", frame_on=stand_in.name)
    for item in (stand_in, *stand_in.children_recursive):
        camera.collection.objects.link(item)
        bpy.data.scenes["Shot"].collection.objects.unlink(item)
    gallery.strip(camera, "camera.jpg")

    _, rigs = gallery.load(crossing, "Crossing")
    one = gallery.set_up(shop.setup_composite, "One Replaced", replace="1", characters=_alone(bpy, rigs[0]))
    gallery.strip(one, "one.jpg")
    gallery.strip(gallery.set_up(shop.setup_composite, "Both Replaced"), "both.jpg")
    gallery.strip(gallery.set_up(shop.setup_scene, "Street by Day", surroundings="STREET", light="DAY"), "street.jpg")
    night = gallery.set_up(shop.setup_scene, "Street by Night", surroundings="STREET", light="NIGHT")
    gallery.strip(night, "night.jpg")
    gallery.strip(gallery.set_up(shop.setup_scene, "On the Stage", surroundings="STAGE", light="NIGHT"), "stage.jpg")
    slow = gallery.set_up(shop.setup_scene, "Slow", surroundings="HALL", light="OVERCAST", retime=2.0, shake=0.0)
    gallery.strip(slow, "slow.jpg")
    before = set(bpy.data.scenes)
    done(shop.variations(vary="FILM", person=1, **gallery.options), "Variations of characters")
    _sheet(gallery, before, "cast.png")
    before = set(bpy.data.scenes)
    done(shop.variations(vary="SETS", surroundings={"HALL", "LANDSCAPE"}, light={"OVERCAST", "GOLDEN_HOUR"}, **gallery.options), "Variations of sets")
    _sheet(gallery, before, "sets.png")
    gallery.film(clip, [one, night], "side_by_side.mp4")


def _sheet(gallery, before, file):
    made = [scene.name for scene in gallery.bpy.data.scenes if scene not in before]
    done(gallery.bpy.ops.shot.contact_sheet(filepath=str(gallery.out / file), scenes=";".join(made)), "Contact sheet")
    gallery.say(f"{gallery.out / file}")


def _alone(bpy, rig) -> str:
    """Name of a collection with one character."""
    collection = bpy.data.collections.new(f"{rig.name} Alone")
    for item in (rig, *rig.children_recursive):
        collection.objects.link(item)
    return collection.name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.add_argument("--samples", type=int, default=16, help="samples a pixel")
    parser.add_argument("--engine", default="CYCLES", choices=("CYCLES", "EEVEE", "WORKBENCH"))
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    os.environ.setdefault("RESHOOT_PYTHON", sys.executable)
    begun = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", flush=True)

    bpy = load_extension()
    takes = [solved(bpy, clip, out / name, say) for clip, name in ((EXAMPLE, "take"), (CROSSING, "crossing_take"))]
    gallery = Gallery(bpy, out / "gallery", arguments.engine, arguments.samples, say)
    make(gallery, *takes, CROSSING)
    bpy.ops.wm.save_as_mainfile(filepath=str(gallery.out / "gallery.blend"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
