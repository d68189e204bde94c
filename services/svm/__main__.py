"""Serve the SVM recognizer: `python -m services.svm`."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while the rest is imported; then it means to read files again

from services.runtime.errors import DomainError
from services.runtime.leaf.leaf import serve
from services.runtime.memory import reuse_freed_memory
from services.runtime.settings import load_settings
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings


def main() -> None:
    """Read the network that embeds faces; exit 2 if it cannot be used. Then serve until SIGTERM."""
    reuse_freed_memory()
    settings = load_settings(SvmSettings)
    try:
        recognizer = SvmRecognizer(settings)
    except DomainError as exc:
        sys.stderr.write(f"MARQUEE_SVM_EMBEDDING: {exc}\n")
        sys.exit(2)
    serve(recognizer, settings, SvmEnroller(recognizer))


if __name__ == "__main__":
    main()
