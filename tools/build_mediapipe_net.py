#!/usr/bin/env python
"""Convert one of MediaPipe's nets to solver/assets/weights/NAME.fp16.onnx, and compare the two.

    npm pack @mediapipe/hands@0.4.1675469240 && tar xzf mediapipe-hands-0.4.1675469240.tgz
    python tools/build_mediapipe_net.py hand-landmarks package/hand_landmark_full.tflite [--out FILE] [--pictures PNG …]
    npm pack @mediapipe/face_mesh@0.4.1657299874 && tar xzf mediapipe-face_mesh-0.4.1657299874.tgz
    python tools/build_mediapipe_net.py face-landmarks package/face_mesh_solution_packed_assets.data [--out FILE] [--pictures PNG …]
    npm pack @mediapipe/selfie_segmentation@0.1.1675465747 && tar xzf mediapipe-selfie_segmentation-0.1.1675465747.tgz
    python tools/build_mediapipe_net.py selfie-segmentation package/selfie_segmentation.tflite [--out FILE] [--pictures PNG …]

Needs tensorflow-cpu 2.21, tf2onnx 1.17, onnx and onnxruntime, in an environment of their own. Weights are stored as float16 (which they are in the
source too) and computed with in float32. Printed is the largest difference of each output over noise and over the pictures, which are taken as crops.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# Side of the crop, px, and the source's outputs in their order. Hand: 21 points (px of the crop), is it a hand, is it a right one, 21 points (m). Face: 468 points, is it a
# face (a logit). Selfie: how sure each pixel is somebody near the camera, 0..1.
NETS = {"hand-landmarks": (224, ("points", "score", "right", "world")), "face-landmarks": (192, ("points", "score")), "selfie-segmentation": (256, ("mask",))}
PACKED = {"face-landmarks": (2495952, 3737848)}  # where the net lies in the package's file of assets, bytes


def as_float16(model) -> None:
    """Large float32 weights as float16 with a cast; runtimes fold the casts when they load."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > 256:
            kept.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + "__half"))
            casts.append(helper.make_node("Cast", [kept[-1].name], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(casts + nodes)


def plain_deconvolutions(model) -> None:
    """MediaPipe's own operation as ONNX's: a transposed convolution of 2 x 2 with stride 2 and a bias, channels last."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [n for n in model.graph.node if n.op_type == "TFL_Convolution2DTransposeBias"]:
        (x, kernel, bias), name, at = node.input, node.name, list(model.graph.node).index(node)
        turned = np.ascontiguousarray(numpy_helper.to_array(weights[kernel]).transpose(3, 0, 1, 2))  # out, 2, 2, in to in, out, 2, 2
        weights[kernel].CopyFrom(numpy_helper.from_array(turned, kernel))
        steps = (
            helper.make_node("Transpose", [x], [name + "__in"], perm=[0, 3, 1, 2]),
            helper.make_node("ConvTranspose", [name + "__in", kernel, bias], [name + "__out"], strides=[2, 2]),
            helper.make_node("Transpose", [name + "__out"], list(node.output), perm=[0, 2, 3, 1]),
        )
        model.graph.node.remove(node)
        for k, step in enumerate(steps):
            model.graph.node.insert(at + k, step)


def name_outputs(model, names) -> None:
    for info, name in zip(list(model.graph.output), names, strict=True):
        model.graph.node.append(helper.make_node("Identity", [info.name], [name]))
        info.name = name


def crops(side, paths, count=16):
    """Inputs (1, side, side, 3) of 0..1: noise, then pictures."""
    rng = np.random.default_rng(0)
    yield from rng.random((count, 1, side, side, 3), np.float32)
    for path in paths:
        picture = tf.io.decode_image(Path(path).read_bytes(), channels=3, expand_animations=False)
        yield tf.image.resize(picture, (side, side)).numpy()[None].astype(np.float32) / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path, nargs="*", default=[])
    a = parser.parse_args()
    (side, outputs), target = NETS[a.net], a.out or Path(f"solver/assets/weights/{a.net}.fp16.onnx")
    content = a.source.read_bytes()[slice(*PACKED.get(a.net, (None,)))]
    with tempfile.TemporaryDirectory() as folder:
        tflite = Path(folder) / "net.tflite"
        tflite.write_bytes(content)
        model, _ = tf2onnx.convert.from_tflite(str(tflite), opset=OPSET)
    plain_deconvolutions(model)
    name_outputs(model, outputs)
    as_float16(model)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    there = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    here = tf.lite.Interpreter(model_content=content)
    here.allocate_tensors()
    worst = np.zeros(len(outputs))
    for crop in crops(side, a.pictures):
        here.set_tensor(here.get_input_details()[0]["index"], crop)
        here.invoke()
        expected = [here.get_tensor(detail["index"]) for detail in here.get_output_details()]
        found = there.run(None, {there.get_inputs()[0].name: crop})
        worst = np.maximum(worst, [np.abs(x.ravel() - y.ravel()).max() for x, y in zip(expected, found, strict=True)])
    print(f"sha256 of the source {hashlib.sha256(content).hexdigest()}, of {target} {hashlib.sha256(target.read_bytes()).hexdigest()}")
    print(f"{target.stat().st_size / 1e6:.2f} MB; largest differences " + ", ".join(f"{n} {w:.2g}" for n, w in zip(outputs, worst)))


if __name__ == "__main__":
    main()
