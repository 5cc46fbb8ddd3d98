"""Names and orders of joints. SMPL's 24 joints, COCO's 17, and the 25 keypoints that tie a body to the detectors."""

SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

# What the detectors see and the body can place: COCO's 17, then feet and hands from BlazePose.
KEYPOINTS = COCO_JOINTS + (
    "left_heel", "right_heel", "left_big_toe", "right_big_toe",
    "left_index_knuckle", "right_index_knuckle", "left_pinky_knuckle", "right_pinky_knuckle",
)  # fmt: skip
# SAM 3D Body (MHR's 70): 15-20 feet, 21-41 the right hand, 42-62 the left. Its joints are of a body that is always whole.
MHR_70 = {name: i for i, name in enumerate(COCO_JOINTS[:9])} | {
    "left_wrist": 62, "right_wrist": 41, "left_hip": 9, "right_hip": 10, "left_knee": 11, "right_knee": 12, "left_ankle": 13,
    "right_ankle": 14, "left_big_toe": 15, "left_heel": 17, "right_big_toe": 18, "right_heel": 20, "right_index_knuckle": 28,
    "right_pinky_knuckle": 40, "left_index_knuckle": 49, "left_pinky_knuckle": 61,
}  # fmt: skip
# The SMPL joint whose bone carries each keypoint rigidly.
KEYPOINT_BONES = (15, 15, 15, 15, 15, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8, 7, 8, 10, 11, 20, 21, 20, 21)
# BlazePose's landmark (of its 33) for each keypoint.
BLAZEPOSE_OF_KEYPOINT = (
    0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 19, 20, 17, 18,
)  # fmt: skip
# Swap left and right.
KEYPOINT_MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23)

# The keypoint that observes an SMPL joint, where there is one.
KEYPOINT_OF_SMPL_JOINT = {
    1: 11, 2: 12, 4: 13, 5: 14, 7: 15, 8: 16, 16: 5, 17: 6, 18: 7, 19: 8, 20: 9, 21: 10,
}  # fmt: skip

# One sRGB colour a person, by id - 1; masks, previews and Blender use the same.
COLOURS = (
    (230, 85, 60), (60, 140, 230), (90, 180, 75), (240, 180, 40), (150, 95, 200), (40, 180, 180),
    (235, 120, 180), (140, 110, 70),
)  # fmt: skip

# Shares of the body's mass at SMPL's joints: trunk, head, thighs, shanks, arms (after Winter, Biomechanics and Motor Control, table 4.1).
MASS = {3: 0.15, 6: 0.15, 9: 0.2, 15: 0.08, 1: 0.05, 2: 0.05, 4: 0.08, 5: 0.08, 7: 0.03, 8: 0.03, 18: 0.05, 19: 0.05}


def colour_of(person_id: int) -> tuple[int, int, int]:
    """sRGB 0..255 of a person (ids start at 1)."""
    return COLOURS[(person_id - 1) % len(COLOURS)]
