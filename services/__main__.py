"""Run the service that the variable SERVICE names, as its image does: `SERVICE=gateway python -m services`."""

import os
import runpy
import sys

if __name__ == "__main__":
    service = os.environ.get("SERVICE") or sys.exit("SERVICE is not set: name the service to run, such as gateway.")
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)
