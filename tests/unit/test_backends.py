"""Nets of the artist's own, with stand-ins that answer the same whatever they see."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper

from solver.protocol import ShotError
from solver.skeleton import BLAZEPOSE_OF_KEYPOINT, KEYPOINTS, MHR_70
from solver.track.chosen import backend_of

ROOT = Path(__file__).resolve().parents[2]
RGB = np.zeros((360, 640, 3), np.uint8)
BOX = np.array([200.0, 100.0, 300.0, 300.0])


def stand_in(path, inputs, outputs):
    """A net that ignores its inputs {name: shape} and answers with arrays {name: value}."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}
    answers = [helper.make_tensor_value_info(name, kinds[value.dtype.kind], value.shape) for name, value in outputs.items()]
    nodes = [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)) for name, value in outputs.items()]
    model = helper.make_model(helper.make_graph(nodes, "stand-in", values, answers), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))


def folder(tmp_path, **steps):
    """A folder of nets whose backend.json names these steps."""
    (tmp_path / "backend.json").write_text(json.dumps({"name": "stand-in", "licence": "CC0-1.0", **steps}))
    return tmp_path


def test_boxes_of_other_classes_and_of_no_score_are_left_out(tmp_path):
    """Pixels of a letterboxed square, 320 px: half the picture's size, with a margin above."""
    found = np.array([[[100, 120, 150, 220, 0.9], [100, 120, 150, 220, 0.8], [10, 80, 30, 140, 0.9], [200, 80, 230, 140, 0.1]]], np.float32)
    stand_in(tmp_path / "d.onnx", {"input": (1, 3, 320, 320)}, {"dets": found, "labels": np.array([[0, 0, 5, 0]])})
    net = backend_of(folder(tmp_path, detect={"file": "d.onnx", "layout": "dets", "size": [320, 320]}))
    boxes, scores = net.detect(RGB)
    assert np.allclose(boxes, [[200, 100, 300, 300]], atol=1) and np.allclose(scores, [0.9])


def test_boxes_of_a_squeezed_picture_are_parts_of_it(tmp_path):
    logits = np.full((1, 2, 3), -5.0, np.float32)
    logits[0, 1, 1] = 3.0
    middles = np.array([[[0.5, 0.5, 0.1, 0.1], [0.25, 0.5, 0.1, 0.5]]], np.float32)
    stand_in(tmp_path / "d.onnx", {"input": (1, 3, 320, 320)}, {"boxes": middles, "logits": logits})
    boxes, scores = backend_of(folder(tmp_path, detect={"file": "d.onnx", "layout": "detr", "size": [320, 320]})).detect(RGB)
    assert np.allclose(boxes, [[128, 90, 192, 270]], atol=0.01) and np.allclose(scores, 1 / (1 + np.exp(-3)))


@pytest.mark.parametrize("turn", [0.0, np.pi / 2])
def test_joints_of_simcc_lie_where_both_peaks_say(tmp_path, turn):
    """The box's middle is the crop's; a peak 48 px right of it and 64 below lies there in the picture, turned with the crop."""
    x, y = np.zeros((1, 23, 384), np.float32), np.zeros((1, 23, 512), np.float32)
    x[..., 2 * (96 + 48)], y[..., 2 * (128 + 64)] = 0.9, 0.7
    stand_in(tmp_path / "p.onnx", {"input": (1, 3, 256, 192)}, {"simcc_x": x, "simcc_y": y})
    net = backend_of(folder(tmp_path, pose={"file": "p.onnx", "layout": "simcc", "size": [192, 256]}))
    pose = net.pose(RGB, BOX, (turn,))
    scale = 1.25 * 200 * 192 / 256 / 192
    c, s = np.cos(turn), np.sin(turn)
    at = np.array([250, 200]) + scale * np.array([c * 48 - s * 64, s * 48 + c * 64])
    assert pose.joints.shape == (17, 3) and np.allclose(pose.joints, [*at, 0.7], atol=1e-3)


@pytest.mark.parametrize("udp", [False, True])
def test_joints_of_heat_maps_lie_between_cells(tmp_path, udp):
    maps = np.zeros((1, 17, 64, 48), np.float32)
    maps[:, :, 32, 12], maps[:, :, 32, 13], maps[:, :, 33, 12] = 0.8, 0.4, 0.1
    stand_in(tmp_path / "p.onnx", {"input": (1, 3, 256, 192)}, {"maps": maps})
    net = backend_of(folder(tmp_path, pose={"file": "p.onnx", "layout": "heatmap", "size": [192, 256], "udp": udp}))
    crop = np.array([12.25, 32.25]) * [191 / 47, 255 / 63] + 0.5 if udp else (np.array([12.25, 32.25]) + 0.5) * 4
    at = [250, 200] + (crop - [96, 128]) * (1.25 * 200 * 192 / 256 / 192)
    assert np.allclose(net.pose(RGB, BOX).joints, [*at, 0.8], atol=1e-3)


def test_a_body_regressors_joints_take_the_landmarks_places(tmp_path):
    rng = np.random.default_rng(0)
    flat, deep = rng.uniform(-1, 1, (1, 70, 2)).astype(np.float32), rng.normal(size=(1, 70, 3)).astype(np.float32)
    outputs = {"mhr_params": np.zeros((1, 204), np.float32), "joints_2d": flat, "joints_3d": deep}
    stand_in(tmp_path / "b.onnx", {"image": (1, 3, 224, 224), "cliff_cond": (1, 3)}, outputs)
    net = backend_of(folder(tmp_path, body={"file": "b.onnx", "layout": "instanthmr"}))
    pose = net.pose(RGB, BOX)
    body = net.body(RGB, pose, BOX)
    row = BLAZEPOSE_OF_KEYPOINT[KEYPOINTS.index("left_knee")]
    hips = (deep[0, MHR_70["left_hip"]] + deep[0, MHR_70["right_hip"]]) / 2
    assert np.allclose(body.world[row], deep[0, MHR_70["left_knee"]] - hips, atol=1e-5)
    assert np.allclose(body.landmarks[row, :2], [250, 200] + flat[0, MHR_70["left_knee"]] * 120, atol=1e-3)
    assert body.mask.shape == (256, 256) and 0 <= body.presence <= 1
    assert net.provenance()["steps"] == ["body"] and "b.onnx" in net.provenance()["weights_sha256"]


def test_what_is_wrong_with_a_folder_is_one_line(tmp_path):
    with pytest.raises(ShotError, match="neither a folder"):
        backend_of(tmp_path / "gone")
    with pytest.raises(ShotError, match=r"has no backend\.json"):
        backend_of(tmp_path)
    for said, steps in (
        ("names no net", {}),
        ("has no p.onnx", {"pose": {"file": "p.onnx", "layout": "simcc"}}),
        ("says boxes for pose", {"pose": {"file": "p.onnx", "layout": "boxes"}}),
        ("KeyError", {"pose": {"file": "p.onnx"}}),
    ):
        with pytest.raises(ShotError, match=re.escape(said)) as error:
            backend_of(folder(tmp_path, **steps))
        assert "\n" not in str(error.value)
    (tmp_path / "p.onnx").write_bytes(b"no net")
    with pytest.raises(ShotError, match="cannot be loaded") as error:
        backend_of(folder(tmp_path, pose={"file": "p.onnx", "layout": "simcc"}))
    assert "\n" not in str(error.value)


def test_the_python_file_of_the_manual_runs(tmp_path):
    text = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    found = np.tile(np.array([0.5, 0.25, 0.6], np.float32), (1, 17, 1))
    stand_in(tmp_path / "joints.onnx", {"image": (1, 256, 256, 3)}, {"joints": found})
    net = backend_of(tmp_path / "mine.py")
    assert np.allclose(net.pose(RGB, BOX).joints, [250, 150, 0.6], atol=1e-4)
    assert net.provenance()["backend"] == "my joints"


@pytest.mark.parametrize(("text", "said"), [("def backend(device): return 1", "cannot detect or pose"), ("import gone_package", "ModuleNotFoundError")])
def test_what_is_wrong_with_a_python_file_is_one_line(tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ShotError, match=said) as error:
        backend_of(tmp_path / "mine.py")
    assert "\n" not in str(error.value)
