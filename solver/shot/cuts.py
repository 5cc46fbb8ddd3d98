"""Where a film is cut, told from what only looks like it: whip pans, flashes, fades."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

TINY = (32, 18)  # pictures in which dissolves are looked for
WINDOWS = ((0, 0), (0.4, 0), (0, 0.3), (0.4, 0.3), (0.2, 0.15))  # parts of a picture, 0.6 x 0.7 of it, looked for in the next
FOUND = 0.5  # correlation at which a part is found again; parts of other scenes reach 0.43 (156 pairs of film and renders)
DISSOLVE = (6, 10, 16, 24, 36, 48)  # lengths, pictures
OTHER, SAME = 0.5, 0.8  # correlation below which two pictures show different things, and above which they show the same
LEVELS = 12.0  # RMS difference of different things, grey levels
MIX = 0.3  # of that difference: how far a dissolve's pictures may be from mixtures of its ends; a pan's are 0.87 off
EVEN = 0.12  # how far the share of the mixture may be from growing evenly
PLAIN = 4.0  # grey levels; a picture that varies less is black, white or empty


class CutFinder:
    """Cuts from a stream of small BGR pictures of one size.

    PySceneDetect's adaptive detector compares a change with the changes around it, so a fast pan is no cut. The first and
    the last pictures are fed mirrored as well, because stray frames of the next shot sit just there. What it finds is a cut where
    neither the light comes back nor the picture goes on elsewhere in the frame. Dissolves and fades it does not see: they are looked
    for in all pictures at the end.
    """

    _MARGIN = 4  # mirrored frames at either end
    _FLASH = 4  # a picture that comes back within so many frames was lit, not cut
    _SAME = 0.85  # colours that overlap more than this belong to one picture that moves

    def __init__(self):
        from scenedetect import AdaptiveDetector

        self._detector = AdaptiveDetector(adaptive_threshold=1.9, min_scene_len=1)
        self._head, self._tail = [], deque(maxlen=self._MARGIN)
        self._histograms = deque(maxlen=4 * self._FLASH)
        self._pictures = deque(maxlen=4 * self._FLASH)  # grey
        self._tiny = []  # grey, `TINY`, of all pictures
        self._count = 0
        self._pending, self._cuts = [], []

    def add(self, bgr):
        """Take the next picture, (H, W, 3) uint8."""
        if self._count < self._MARGIN:
            self._head.append(bgr)
        self._tail.append(bgr)
        self._histograms.append(_histogram(bgr))
        self._pictures.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        self._tiny.append(cv2.resize(self._pictures[-1], TINY, interpolation=cv2.INTER_AREA))
        self._count += 1
        if self._count == self._MARGIN:
            for position, image in enumerate([*self._head[:0:-1], *self._head], 1 - self._MARGIN):
                self._feed(position, image)
        elif self._count > self._MARGIN:
            self._feed(self._count - 1, bgr)
        while self._pending and self._pending[0] + self._FLASH < self._count:
            self._judge(self._pending.pop(0))

    def finish(self) -> list[tuple[int, int]]:
        """(first picture after a piece, first picture of the next): the same at a cut, the ends of a dissolve else."""
        if self._count >= self._MARGIN:
            for position, image in enumerate(list(self._tail)[-2::-1], self._count):
                self._feed(position, image)
        for cut in self._pending:
            self._judge(cut)
        soft = dissolves(self._tiny)
        cuts = [(c, c) for c in self._cuts if not any(a - 2 <= c <= b + 2 for a, b in soft)]
        return sorted(cuts + soft)

    def _feed(self, position, bgr):
        from scenedetect import FrameTimecode

        found = self._detector.process_frame(FrameTimecode(position + self._MARGIN, 24.0), bgr)
        cuts = [int(code.frame_num) - self._MARGIN for code in found]
        self._pending += [cut for cut in cuts if 0 < cut < self._count]

    def _judge(self, cut):
        first = self._count - len(self._histograms)
        near = {first + k: h for k, h in enumerate(self._histograms)}
        jump = _overlap(near[cut - 1], near[cut])
        back = [_overlap(near[cut - 1], near[cut + k]) for k in range(1, self._FLASH) if cut + k in near]
        back += [_overlap(near[cut], near[cut - 1 - k]) for k in range(1, self._FLASH) if cut - 1 - k in near]
        if self._fades(cut - first):
            return
        other = jump < self._SAME and max(back, default=0.0) < jump + 0.3
        if other and not goes_on(self._pictures[cut - 1 - first], self._pictures[cut - first]):
            self._cuts.append(cut)

    def _fades(self, cut):
        """Whether the picture is on its way to or from plain black or white there."""
        contrast = np.array([picture.std() for picture in self._pictures])
        before, after = contrast[max(0, cut - self._FLASH) : cut], contrast[cut : cut + self._FLASH]
        return (before[-1] < PLAIN and after[0] < 0.6 * after.max()) or (after[0] < PLAIN and before[-1] < 0.6 * before.max())


def goes_on(before, after) -> bool:
    """Whether a large part of one small grey picture is found in the next, however far the camera swung."""
    a, b = _evened(before), _evened(after)
    height, width = a.shape
    for x, y in WINDOWS:
        top, left = round(y * height), round(x * width)
        part = np.s_[top : round((y + 0.7) * height), left : round((x + 0.6) * width)]
        for one, other in ((a, b), (b, a)):
            if min(one[part].std(), other.std()) > 0.5:
                score = cv2.matchTemplate(other, one[part], cv2.TM_CCOEFF_NORMED)
                score[max(0, top - 2) : top + 3, max(0, left - 2) : left + 3] = 0  # a title stays where it is over any cut
                if score.max() > FOUND:
                    return True
    return False


def _evened(grey):
    """Detail of a picture, as strong everywhere: a title or one bright edge is no picture."""
    grey, fine, coarse = grey.astype(np.float32), grey.shape[1] / 128, grey.shape[1] / 21
    detail = cv2.GaussianBlur(grey, (0, 0), fine) - cv2.GaussianBlur(grey, (0, 0), coarse)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), coarse)) + 1)


def dissolves(tiny) -> list[tuple[int, int]]:
    """(first, one past the last) of the pictures that mix two others, and of plain ones between two different things.

    tiny: N grey pictures (h, w) uint8.
    """
    X = np.array(tiny, np.uint8).reshape(len(tiny), -1)
    found = []
    for n in DISSOLVE:
        quarter = n // 2
        for at in range(quarter, len(X) - n - quarter):
            A, B = X[at].astype(np.float32), X[at + n].astype(np.float32)
            apart = _rms(B - A)
            if apart < LEVELS or min(A.std(), B.std()) < PLAIN or _correlation(A, B) > OTHER:
                continue
            held = max(_rms(A - X[at - quarter]), _rms(B - X[at + n + quarter]))
            if held > 0.5 * apart:
                continue
            for k in (n // 4, n // 2, n - n // 4):
                M = X[at + k].astype(np.float32)
                share = float((M - A) @ (B - A) / ((B - A) @ (B - A)))
                if abs(share - k / n) > EVEN or _rms(M - A - share * (B - A)) > MIX * apart:
                    break
            else:
                found.append((at + 1, at + n))
    found += _through_plain(X)
    merged = []
    for a, b in sorted(found):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def _through_plain(X):
    """Runs of plain pictures between two different things, as (first, one past the last)."""
    plain = np.array([x.std() < PLAIN for x in X.astype(np.float32)])
    edges = np.flatnonzero(np.diff(np.r_[False, plain, False]))
    found = []
    for a, b in edges.reshape(-1, 2):
        before, after = _whole(X[max(0, a - DISSOLVE[-1]) : a][::-1]), _whole(X[b : b + DISSOLVE[-1]])
        if before is not None and after is not None and _correlation(before, after) < SAME:
            found.append((int(a), int(b)))
    return found


def _whole(pictures):
    """The first of some pictures that a fade has left nearly all of its contrast; None where there is none."""
    contrast = pictures.std(1)
    return pictures[np.argmax(contrast > 0.9 * contrast.max())].astype(np.float32) if len(pictures) else None


def _rms(v) -> float:
    return float(np.sqrt(np.mean(v * v)))


def _correlation(a, b) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def _histogram(bgr):
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    return cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 4], [0, 180, 0, 256, 0, 256]) / (bgr.shape[0] * bgr.shape[1])


def _overlap(a, b) -> float:
    """Histogram intersection, 0..1."""
    return float(np.minimum(a, b).sum())
