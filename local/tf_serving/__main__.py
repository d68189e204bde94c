"""Serves an ONNX model as TensorFlow Serving would: `python -m local.tf_serving --model-base DIR`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from local.tf_serving.servables import load_newest
from local.tf_serving.server import serve
from services.keras.tensors import as_content, as_values


def main() -> None:
    """Serves until SIGTERM; exits with 2 where it cannot."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    write = as_content if options.enable_serialization_as_tensor_content else as_values
    try:
        servables = load_newest(options.model_base, options.model_name, options.threads)
        asyncio.run(serve(servables, f"{options.host}:{options.port}", write))
    except OSError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.tf_serving", description="A TensorFlow Serving for ONNX.")
    parser.add_argument("--model-base", type=Path, required=True, metavar="DIR", help="DIR/<version>/model.onnx")
    parser.add_argument("--model-name", default="celebrity", help="the name in calls (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="port for gRPC (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads for one call (%(default)s)")
    parser.add_argument(
        "--enable-serialization-as-tensor-content",
        action="store_true",
        help="answer with tensor_content; without it, as TensorFlow Serving does by default, with float_val",
    )
    return parser


if __name__ == "__main__":
    main()
