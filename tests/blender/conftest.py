"""One Blender for all tests: bpy can be loaded once a process. Every test starts from an empty file."""

import pytest

bpy = pytest.importorskip("bpy")


@pytest.fixture(scope="session")
def take(tmp_path_factory):
    """A synthetic take on disk and the truth it was made from."""
    from tests.blender import synthetic_take

    folder = tmp_path_factory.mktemp("takes") / "walk"
    return folder, synthetic_take.write(folder)


@pytest.fixture
def blender():
    """bpy with an empty scene, Reshoot registered."""
    import reshoot

    bpy.ops.wm.read_factory_settings(use_empty=True)
    reshoot.register()
    yield bpy
    reshoot.unregister()


@pytest.fixture
def loaded(blender, take):
    """The synthetic take in the scene: bpy, its collection, the truth."""
    folder, truth = take
    assert blender.ops.shot.load_take(directory=str(folder)) == {"FINISHED"}
    return blender, blender.context.scene.reshoot.take, truth
