"""Rows and files of other programs find their frame also where the film has holes or repeats."""

import numpy as np
import pytest

from solver.imports.numbering import files_of_frames, to_shot
from tests.imports_cases import shot as plain

OWN = [0, 1, 3, 4, 7]  # frames of eight with a picture of their own


def holed(path="/nowhere/clip.mp4", skipped=0):
    out = plain(frames=8, path=path)
    out.fresh = np.isin(np.arange(8), OWN)
    out.picture = skipped + np.maximum.accumulate(np.where(out.fresh, np.cumsum(out.fresh) - 1, 0))
    out.start_frame = skipped
    return out


@pytest.mark.parametrize(
    ("skipped", "numbers", "total", "frames"),
    [
        (0, range(5), None, OWN),  # all pictures of the film
        (10, range(10, 15), None, OWN),  # the shot is the film's end
        (10, range(5), 5, OWN),  # another program had the shot alone
        (0, range(8), 8, range(8)),  # it had the take's film.mp4, hole for hole
    ],
)
def test_pictures_are_counted_without_the_holes(skipped, numbers, total, frames):
    assert to_shot(list(numbers), total, holed(skipped=skipped), "x").tolist() == list(frames)


def test_a_plain_shot_counts_as_ever():
    assert to_shot([4, 5, 6], None, plain(frames=3, start=4), "x").tolist() == [0, 1, 2]
    assert to_shot([0, 1, 2], None, plain(frames=3, start=4), "x").tolist() == [0, 1, 2]


def test_files_named_as_the_pictures_go_with_them(tmp_path):
    source, other = tmp_path / "film", tmp_path / "masks"
    for folder in (source, other):
        folder.mkdir()
        for n in OWN:
            (folder / f"s_{1001 + n}.png").touch()
    found = files_of_frames(list(other.iterdir()), holed(str(source)), "masks")
    assert {i: f.name for i, f in found.items()} == {n: f"s_{1001 + n}.png" for n in OWN}
    renamed = [other / f"m{1001 + n}.png" for n in OWN]
    assert set(files_of_frames(renamed, holed(str(source)), "masks")) == set(OWN)
