"""`make gallery`: every mode of both transfers from two takes."""

import cv2
import numpy as np

from tests.blender.synthetic_take import FRAMES
from tools import gallery

STRIPS = ("camera", "one", "both", "street", "night", "stage", "slow")


def test_gallery_shows_every_mode(blender, take, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MOMENTS", (0.5,))
    folder, _ = take
    gallery.make(gallery.Gallery(blender, tmp_path, "WORKBENCH", 1), folder, folder, gallery.EXAMPLE)
    strips = [cv2.imread(str(tmp_path / f"{name}.jpg")).astype(int) for name in STRIPS]
    assert {s.shape for s in strips} == {(360, gallery.WIDTH, 3)}
    for n, a in enumerate(strips):
        for b in strips[:n]:
            assert np.abs(a - b).mean() > 0.5  # no mode looks like another
    assert (tmp_path / "alone.jpg").exists() and (tmp_path / "cast.png").exists() and (tmp_path / "sets.png").exists()
    movie = cv2.VideoCapture(str(tmp_path / "side_by_side.mp4"))
    assert (movie.get(cv2.CAP_PROP_FRAME_COUNT), movie.get(cv2.CAP_PROP_FRAME_WIDTH)) == (FRAMES, 3 * gallery.WIDTH // 2)
