"""What corrections do to tracks: who is who, who is new, and joints that were shown. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..protocol import ShotError
from ..records import Tracks
from ..skeleton import KEYPOINTS

# Guesses. Of a person's size: a net's joint nearer than this to the place that an artist showed is the same, and what a joint moves against the
# box in a frame; frames after which the net is believed again in any case.
JOINT_OFF, JOINT_DRIFT, BELIEVED_AGAIN = 0.05, 0.02, 24


def apply_to_tracks(tracks: Tracks, corrections, first_frame: int = 0) -> tuple[Tracks, np.ndarray]:
    """Tracks after `Corrections` that merge, split, delete, swap or outline people; and how the masks' numbers change, (T, 256) uint8.

    Numbers stay as they are: a deleted one is not used again, a split gives the later part the number that the correction
    carries. first_frame: what errors call frame 0 of the take. Pure. Raises ShotError where a correction does not fit.
    """
    T = tracks.boxes.shape[1]
    labels = np.repeat(np.arange(256, dtype=np.uint8)[None], T, 0)
    for item in corrections.items:
        if item["do"] in _APPLY:
            tracks, labels = _APPLY[item["do"]](tracks, labels, item, first_frame)
    return tracks, labels


_ROWS = ("boxes", "score", "keypoints_2d", "keypoints_3d", "source")
_UNSEEN = {"boxes": np.nan, "score": 0, "keypoints_2d": 0, "keypoints_3d": 0, "source": 0}


def _row(tracks, ident) -> int:
    found = np.flatnonzero(tracks.ids == ident)
    if not len(found):
        known = ", ".join(str(int(i)) for i in tracks.ids) or "nobody"
        raise ShotError(
            f"There is no person {ident} (there is {known}).", "Undo the correction, or name another person."
        )
    return int(found[0])


def _copied(tracks):
    return replace(tracks, ids=tracks.ids.copy(), **{name: getattr(tracks, name).copy() for name in _ROWS})


def _without(tracks, row):
    keep = np.arange(len(tracks.ids)) != row
    return replace(tracks, ids=tracks.ids[keep], **{name: getattr(tracks, name)[keep] for name in _ROWS})


def _relabelled(labels, pairs, first=0):
    out = labels.copy()
    for old, new in pairs:
        out[first:][labels[first:] == old] = new
    return out


def _merge(tracks, labels, item, _first):
    keep, other = _row(tracks, item["keep"]), _row(tracks, item["other"])
    out = _copied(tracks)
    # where both were found, the surer one is believed
    take = tracks.visible[other] & (~tracks.visible[keep] | (tracks.score[other] > tracks.score[keep]))
    for name in _ROWS:
        getattr(out, name)[keep, take] = getattr(tracks, name)[other, take]
    return _without(out, other), _relabelled(labels, [(item["other"], item["keep"])])


def _split(tracks, labels, item, first):
    row, frame = _row(tracks, item["person"]), item["frame"]
    seen = np.flatnonzero(tracks.visible[row])
    if not len(seen) or not seen[0] < frame <= seen[-1]:
        raise ShotError(
            f"Person {item['person']} cannot be split at frame {frame + first}.",
            f"Name a frame from {seen[0] + 1 + first} to {seen[-1] + first}, in which the person is in the picture."
            if len(seen) > 1
            else "",
        )
    _check_free(tracks, item["new"], "split")
    out = replace(
        tracks, ids=np.append(tracks.ids, item["new"]),
        **{name: np.concatenate([getattr(tracks, name), getattr(tracks, name)[row : row + 1]]) for name in _ROWS},
    )  # fmt: skip
    for name in _ROWS:
        getattr(out, name)[row, frame:] = _UNSEEN[name]
        getattr(out, name)[-1, :frame] = _UNSEEN[name]
    return out, _relabelled(labels, [(item["person"], item["new"])], frame)


def _delete(tracks, labels, item, _first):
    return _without(tracks, _row(tracks, item["person"])), _relabelled(labels, [(item["person"], 0)])


def _swap(tracks, labels, item, first):
    a, b, frame = _row(tracks, item["a"]), _row(tracks, item["b"]), item["frame"]
    if not 0 <= frame < tracks.boxes.shape[1]:
        last = first + tracks.boxes.shape[1] - 1
        raise ShotError(f"The shot has no frame {frame + first}.", f"Name a frame from {first} to {last}.")
    out = _copied(tracks)
    for name in _ROWS:
        values = getattr(tracks, name)
        getattr(out, name)[[a, b], frame:] = values[[b, a], frame:]
    if not out.visible[[a, b]].any(1).all():
        raise ShotError(
            f"Swapped from frame {frame + first} on, one of the two is never seen.",
            "Merge them, or name a later frame.",
        )
    return out, _relabelled(labels, [(item["a"], item["b"]), (item["b"], item["a"])], frame)


def _outline(tracks, labels, item, _first):
    """Whom nobody saw has an empty row from here on; `track.outlined` fills it."""
    if not item["new"]:
        _row(tracks, item["person"])
        return tracks, labels
    _check_free(tracks, item["person"], "outline")
    empty = {name: np.full_like(getattr(tracks, name), _UNSEEN[name], shape=(1, *getattr(tracks, name).shape[1:])) for name in _ROWS}
    ids = np.append(tracks.ids, item["person"])
    return replace(tracks, ids=ids, **{name: np.concatenate([getattr(tracks, name), row]) for name, row in empty.items()}), labels


def _check_free(tracks, number, what) -> None:
    if (tracks.ids == number).any() or not 0 < number < 256:
        raise ShotError(f"The number {number} is taken or beyond 255.", f"Undo the correction and {what} again.")


def _joint(tracks, labels, item, _first):
    _row(tracks, item["person"])
    return tracks, labels


_APPLY = {"merge": _merge, "split": _split, "delete": _delete, "swap": _swap, "outline": _outline, "joint": _joint}


def show_joints(tracks: Tracks, corrections, width: int, height: int, report) -> Tracks:
    """Tracks with joints where the artist's `Corrections` showed them. About such a frame the net is not believed for as long as it stays away from there, seen from the person's box."""
    out = _copied(tracks)
    items = corrections.in_the_picture("joint", tracks.boxes.shape[1])
    shown = {(item["person"], item["joint"], item["frame"]) for item in items}
    for item in items:
        row, frame, k = _row(tracks, item["person"]), item["frame"], KEYPOINTS.index(item["joint"])
        xy = np.array([item["x"] * width, item["y"] * height])
        if not tracks.visible[row, frame]:
            report.warn(f"Person {item['person']} is not seen in frame {frame}: the joint shown there was not used. Outline the person first.")
            continue
        centre, size = (tracks.boxes[row, :, :2] + tracks.boxes[row, :, 2:]) / 2, (tracks.boxes[row, :, 2:] - tracks.boxes[row, :, :2]).max(-1)
        for step in (1, -1):
            for g in range(frame, frame + step * BELIEVED_AGAIN, step):
                if not 0 <= g < tracks.boxes.shape[1] or (g != frame and (item["person"], item["joint"], g) in shown) or not tracks.visible[row, g]:
                    break
                there = centre[g] + (xy - centre[frame]) * size[g] / size[frame]
                off = np.linalg.norm(tracks.keypoints_2d[row, g, k, :2] - there) / size[g]
                if off < JOINT_OFF + JOINT_DRIFT * abs(g - frame) and tracks.keypoints_2d[row, g, k, 2] > 0:
                    break
                out.keypoints_2d[row, g, k, 2] = out.keypoints_3d[row, g, k, 3] = 0
        out.keypoints_2d[row, frame, k] = (*xy, 1)
    return out
