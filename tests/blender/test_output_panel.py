"""What the Output panel keeps is what its button hands to the 2D transfer."""

from tests.blender import test_registration
from tests.blender.test_registration import draw_all


def test_the_options_of_the_2d_transfer_are_in_the_panel_and_are_handed_over(loaded, monkeypatch):
    bpy, _, _ = loaded
    handed = {}

    def note(fields, name, value):
        assert name in fields.rna.properties
        handed.setdefault(fields.rna.identifier, {})[name] = value

    options = bpy.context.scene.reshoot_composite
    options.engine, options.samples, options.film_light = "WORKBENCH", 7, 0.25
    options.motion_blur, options.output = True, "LAYERS"
    monkeypatch.setattr(test_registration.Fields, "__setattr__", note)
    drawn = draw_all(bpy)["Output"]
    names = [p.identifier for p in options.bl_rna.properties if p.identifier not in ("rna_type", "name")]
    assert set(names) == {"engine", "samples", "film_light", "motion_blur", "output"} and set(names) <= set(drawn)
    given = handed["SHOT_OT_setup_composite"]
    assert {name: given[name] for name in names} == {name: getattr(options, name) for name in names}
    assert bpy.ops.shot.setup_composite(**given, scene_name="Film") == {"FINISHED"}
    scene = bpy.data.scenes["Film"]
    assert scene.render.engine == "BLENDER_WORKBENCH" and scene.render.use_motion_blur
    assert scene.render.image_settings.file_format == "OPEN_EXR_MULTILAYER"
