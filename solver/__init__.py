"""Reshoot's solver: from one film shot to SMPL tracks and a camera trajectory in one metric world. No bpy below this folder."""

import os

__version__ = "0.1.0"

# Before numpy comes: its matrices are small here, so that a second thread only waits, and starves where other programs run.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
