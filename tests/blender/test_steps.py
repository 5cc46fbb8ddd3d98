"""Steps that are built under feet which stand on something over the ground."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.retarget_cases import walk


def take_of(folder, track):
    (folder / "people").mkdir(parents=True)
    np.savez(
        folder / "people" / "01.npz", poses=track.poses.reshape(-1, 72), trans=track.trans, frame=track.frames, joints_world=track.forward()[1],
        mocap_frame_rate=track.fps, **({} if track.contact is None else {"contact": track.contact}),
    )  # fmt: skip
    return SimpleNamespace(folder=folder, people=[SimpleNamespace(id=1)])


@pytest.mark.parametrize("down", [True, False])
def test_a_step_is_under_each_foothold(tmp_path, down):
    import bpy

    from reshoot.scene.stairs import add_steps

    track = walk(rise_m=0.1, step_m=0.35)
    track.trans[:, 2] += 0.1
    place = bpy.data.objects.new("Place", None)
    item = add_steps(take_of(tmp_path / "take", track), "Steps", place, down)
    assert item.parent == place
    z = np.array([v.co.z for v in item.data.vertices])
    tops = np.unique(z[z > 0.01].round(2))
    assert np.abs(np.diff(tops) - 0.1).max() < 0.02 and len(tops) >= 3  # each step is 0.1 m over the last
    assert (z.min() == 0) == down


def test_nobody_on_stairs_needs_none(tmp_path):
    from reshoot.scene.stairs import add_steps

    assert add_steps(take_of(tmp_path / "take", walk()), "Steps", None) is None
