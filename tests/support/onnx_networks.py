"""Small ONNX networks with manifests, made on the spot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MANIFEST = {
    "name": "testnet",
    "version": "1",
    "licence": "CC0-1.0",
    "evidence_group": "pixels",
    "width": 16,
    "height": 16,
    "colour_order": "rgb",
    "mean": 127.5,
    "scale": 0.0078125,
    "template": [[5.0, 6.0], [11.0, 6.0], [8.0, 9.0], [6.0, 12.0], [10.0, 12.0]],
    "length": 32,
    "metric": "l2",
    "distance": 1.0,
}


def write_network(folder: Path, name: str = "net", *, batch: int | str = "n", outputs: int = 1, **manifest: Any) -> str:
    """Write NAME.onnx and its manifest; return the address for MARQUEE_SVM_EMBEDDING.

    It multiplies the colours of 16 parts with random numbers; with a length of all pixels it returns them as they are.
    """
    manifest = MANIFEST | manifest
    path = folder / f"{name}.onnx"
    path.write_bytes(_model(manifest, batch, outputs))
    path.with_name(f"{path.name}.json").write_text(json.dumps(manifest))
    return f"onnx:{path}"


def _model(manifest: dict[str, Any], batch: int | str, outputs: int) -> bytes:
    size, length = [manifest["height"], manifest["width"]], manifest["length"]
    shape = [batch, *size, 3] if manifest.get("layout") == "nhwc" else [batch, 3, *size]
    pixels = 3 * size[0] * size[1]
    blocks = np.random.default_rng(0).normal(0, 10 / pixels, (3, 4, 4, length))
    random = blocks.repeat(size[0] // 4, 1).repeat(size[1] // 4, 2).reshape(pixels, length)
    matrix = np.eye(pixels) if length == pixels else random
    names = [f"vector{number}" for number in range(outputs)]
    nodes = [helper.make_node("Flatten", ["image"], ["flat"])]
    nodes += [helper.make_node("MatMul", ["flat", "matrix"], [name]) for name in names]
    graph = helper.make_graph(
        nodes,
        "pixels",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, length]) for name in names],
        [numpy_helper.from_array(matrix.astype(np.float32), "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
