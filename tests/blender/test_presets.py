"""Presets of how a shot is solved: kept, brought back in another file, deleted."""

from pathlib import Path

import pytest

from tests.blender.test_registration import draw_all

NAME = "Test of Reshoot"


@pytest.fixture
def preset(blender):
    """bpy, and where the preset's file is; it is gone afterwards."""
    file = Path(blender.utils.user_resource("SCRIPTS", path="presets/reshoot/extract")) / "Test_of_Reshoot.py"
    file.unlink(missing_ok=True)
    yield blender, file
    file.unlink(missing_ok=True)


def test_a_preset_brings_the_options_back_and_leaves_the_clip_alone(preset):
    from reshoot.operators import presets

    bpy, file = preset
    wanted = {
        "quality": "preview", "camera_kind": "turns", "use_focal_mm": True, "focal_mm": 50.0, "use_max_height": True, "max_height": 360,
        "plate": False, "match_scene": True,
    }  # fmt: skip
    assert tuple(wanted) == presets.OPTIONS
    settings = bpy.context.scene.reshoot
    for name, value in wanted.items():
        assert getattr(settings, name) != value  # else the test would say nothing
        setattr(settings, name, value)
    settings.filepath, settings.cuts = "/films/one.mp4", "24"
    assert bpy.ops.shot.add_preset(name=NAME) == {"FINISHED"} and file.exists()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    settings = bpy.context.scene.reshoot
    settings.filepath, settings.cuts = "/films/two.mp4", "80"
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname=presets.SHOT_MT_presets.bl_idname)
    assert {name: getattr(settings, name) for name in wanted} == wanted
    assert (settings.filepath, settings.cuts) == ("/films/two.mp4", "80")
    assert presets.SHOT_MT_presets.bl_label == NAME and f"menu {NAME}" in draw_all(bpy)["Options"]
    bpy.ops.shot.add_preset(remove_active=True)
    assert not file.exists()


def test_the_options_of_the_panel_are_those_of_a_preset(blender):
    from reshoot.operators import presets

    assert set(presets.OPTIONS) == set(draw_all(blender)["Options"]) & set(blender.context.scene.reshoot.bl_rna.properties.keys())
