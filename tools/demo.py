"""The main job from end to end: one shot in; camera, people, a 2D and a 3D transfer out. Run by `make demo`.

    python -m tools.demo [CLIP] [--out FOLDER] [--samples N]

Without a clip it solves the shot of examples/ and measures the result against that shot's exact truth.
"""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE, TRUTH = ROOT / "examples" / "shot.mp4", ROOT / "examples" / "truth"
CHARACTERS = (ROOT / "examples" / "character_mixamo.glb", ROOT / "examples" / "character_game.glb")


def load_extension():
    """Register the repository as the extension `reshoot` in a fresh Blender and return bpy."""
    import bpy

    spec = importlib.util.spec_from_file_location("reshoot", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["reshoot"] = module
    spec.loader.exec_module(module)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    module.register()
    atexit.register(module.unregister)  # as Blender does when it quits; the module of 4.5 crashes at its end without
    return bpy


def done(result, what):
    """Stop the demo where an operator did not finish."""
    if result != {"FINISHED"}:
        sys.exit(f"demo: {what} did not finish.")


def import_character(bpy, path: Path, name: str):
    """A character file's armature, in the current scene."""
    before = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(path))
    rigs = [o for o in bpy.data.objects if o not in before and o.type == "ARMATURE"]
    rigs[0].name = name
    return rigs[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--out", type=Path, default=ROOT / "out")
    parser.add_argument("--samples", type=int, default=8, help="Cycles samples a pixel")
    arguments = parser.parse_args()
    clip, out = arguments.clip.resolve(), arguments.out.resolve()
    if not clip.exists():
        sys.exit(f"demo: {clip} is not there. Give a movie: make demo CLIP=FILE.")
    out.mkdir(parents=True, exist_ok=True)
    take = out / "take"
    os.environ.setdefault("RESHOOT_PYTHON", sys.executable)
    begun = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", flush=True)

    bpy = load_extension()
    solved(bpy, clip, take, say)
    people = [p["id"] for p in json.loads((take / "shot.json").read_text(encoding="utf-8"))["people"]]

    scene = bpy.context.scene
    done(bpy.ops.shot.load_take(directory=str(take), match_scene=True), "Load Take")
    camera = bpy.data.objects.new("Film Camera", bpy.data.cameras.new("Film Camera"))
    scene.collection.objects.link(camera)
    done(bpy.ops.shot.bake_camera(camera=camera.name), "Bake Camera")
    for index, person in enumerate(people):
        rig = import_character(bpy, CHARACTERS[index % len(CHARACTERS)], f"Character {person}")
        done(bpy.ops.shot.retarget(person=person, armature=rig.name), f"Retarget of person {person}")
    say(f"Camera baked, {len(people)} characters retargeted")

    from reshoot.scene import render

    blend = out / "reshoot.blend"
    if people:
        done(bpy.ops.shot.setup_composite(scene_name="2D Transfer", samples=arguments.samples), "Set Up 2D Transfer")
        bpy.context.window.scene = scene
    content = "BOTH" if people else "CAMERA"
    done(bpy.ops.shot.setup_scene(scene_name="3D Transfer", content=content, samples=arguments.samples), "Set Up 3D Transfer")
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    say(f"Wrote {blend}")
    for name, file in (("2D Transfer", "transfer_2d.mp4"), ("3D Transfer", "transfer_3d.mp4")):
        if name in bpy.data.scenes:
            # a demo is to be over soon: the light denoiser takes a third of the time
            cycles = bpy.data.scenes[name].cycles
            cycles.denoising_quality, cycles.denoising_prefilter = "FAST", "FAST"
            render.movie(bpy.data.scenes[name], out / file)
            say(f"Rendered {out / file}")
        else:
            say("Nobody to replace: there is no 2D transfer")
    shutil.copy(take / "report.html", out / "report.html")
    say(f"Report: {out / 'report.html'}")
    if clip == EXAMPLE:
        measure(take)
    return 0


def solved(bpy, clip: Path, take: Path, say) -> Path:
    """The take of a clip, extracted where it is not there yet."""
    say(f"Extracting {clip.name} into {take} (progress is in {take}.log)")
    if take.exists() and not same_clip(take, clip):
        shutil.rmtree(take)
    done(bpy.ops.shot.extract(filepath=str(clip), take_dir=str(take), load=False), "Extract Shot")
    shot = json.loads((take / "shot.json").read_text(encoding="utf-8"))
    say(f"Solved: camera {shot['verdict']}, {len(shot['people'])} people, {shot['source']['frames']} frames")
    for warning in shot["warnings"]:
        say(f"  warning: {warning}")
    return take


def same_clip(take: Path, clip: Path) -> bool:
    """Whether a take was made of this file, and may be resumed."""
    try:
        return json.loads((take / "shot.json").read_text(encoding="utf-8"))["source"]["path"] == str(clip)
    except (OSError, ValueError, KeyError):
        return False


def measure(take: Path) -> None:
    """Print the solved shot against its exact truth."""
    from benchmarks.evaluate import evaluate

    print("Against the exact truth of the example:")
    print(json.dumps(evaluate(take, TRUTH), indent=1))


if __name__ == "__main__":
    sys.exit(main())
