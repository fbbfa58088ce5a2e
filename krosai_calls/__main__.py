"""``python -m krosai_calls`` is ``krosai-calls``."""

from __future__ import annotations

import sys

from krosai_calls.cli import main

if __name__ == "__main__":
    sys.exit(main())
