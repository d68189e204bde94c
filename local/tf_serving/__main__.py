"""Serve models as TensorFlow Serving would: `python -m local.tf_serving --model_name=NAME --model_base_path=DIR`."""

import asyncio
import logging
import sys

from local.tf_serving import options
from local.tf_serving.errors import Refusal
from local.tf_serving.server import serve


def main() -> None:
    """Serve until SIGTERM; exit 2 on failure."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(serve(options.parse()))
    except OSError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    except Refusal as exc:
        sys.stderr.write(f"Failed to start server. Error: {exc.code.name}: {exc.text}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
