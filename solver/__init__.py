"""Reshoot's solver: from one film shot to SMPL tracks and a camera trajectory in one metric world. No bpy below this folder."""

__version__ = "0.1.0"
