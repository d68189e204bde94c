"""Run the service that the variable SERVICE names, as its image does: `SERVICE=gateway python -m services`."""

import os
import runpy

if __name__ == "__main__":
    runpy.run_module(f"services.{os.environ['SERVICE']}", run_name="__main__", alter_sys=True)
