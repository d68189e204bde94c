"""Small ONNX models with predictable scores, and a server for them."""

import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from local.tf_serving.messages.config_pb2 import ModelServerConfig
from local.tf_serving.options import ServerOptions
from local.tf_serving.servables import Servables
from local.tf_serving.server import build
from local.tf_serving.source import Source

Sizes = Sequence[int | None]


def write_brightness_model(  # noqa: PLR0913 - models differ in each of them
    base: Path,
    version: int = 1,
    *,
    labels: Sequence[str] | None = ("Bright", "Dark"),
    dtype: int = TensorProto.UINT8,
    shape: Sizes = (None, 224, 224, 3),
    scale: float = 1 / 255,
    threshold: float = 0.5,
    only: Sequence[str] = ("bright", "dark"),
    **assets: str,
) -> Path:
    """Write BASE/VERSION with a model whose scores are [mean of the values · scale, 1 - that], or `only` one of them.

    The version appears complete or not at all. `assets` has more fields of marquee.json.
    """
    folder = base / f"{version}.part"
    (folder / "assets").mkdir(parents=True)
    onnx.save(_brightness(dtype, shape, scale, only), folder / "model.onnx")
    if labels is not None:
        facts = {"labels": labels, "threshold": threshold} | assets
        (folder / "assets" / "marquee.json").write_text(json.dumps(facts))
    folder.rename(base / str(version))
    return base


def model_source(base: Path, name: str = "celebrity", **config: Any) -> tuple[Source, Servables]:
    """Return a source of BASE's models, none loaded yet; `config` holds further fields of ModelConfig."""
    servables, configured = Servables(), ModelServerConfig()
    configured.model_config_list.config.add(name=name, base_path=str(base), **config)
    return Source(configured, servables, threads=1), servables


@asynccontextmanager
async def serving(
    base: Path, options: ServerOptions | None = None, port: int = 0, name: str = "celebrity"
) -> AsyncIterator[int]:
    """Serve BASE's newest version on loopback; yield the port."""
    source, servables = model_source(base, name)
    source.poll()
    source.label(allow_unavailable=False)
    async with serving_of(servables, options, port) as bound:
        yield bound


@asynccontextmanager
async def serving_of(servables: Servables, options: ServerOptions | None = None, port: int = 0) -> AsyncIterator[int]:
    """Serve the models, which may change while they are served; yield the port."""
    with ThreadPoolExecutor(2) as executor:
        server = await build(servables, executor, options or ServerOptions())
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield bound
        finally:
            await server.stop(None)


def _brightness(dtype: int, shape: Sizes, scale: float, only: Sequence[str]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "axes"], ["column"], keepdims=0),
        helper.make_node("Mul", ["column", "scale"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["bright"]),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", list(only), ["scores"], axis=1),
    ]
    constants = {"axes": np.array([1, 2, 3]), "last": np.array([1]), "scale": np.float32(scale), "one": np.float32(1)}
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", dtype, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (None, len(only)))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
