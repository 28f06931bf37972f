"""``python -m reelbench.media.probe_worker LIMITS``: probes each path that comes in on stdin, one JSON line each way.

Reads ``"path"``; answers ``{"info": …}`` or ``{"error": …, "hint": …}``. It is killed when it hangs: see safe_probe.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from reelbench.errors import MediaError
from reelbench.media.probing import probe
from reelbench.media.types import ClipInfo, Limits


def main() -> None:
    limits = TypeAdapter(Limits).validate_json(sys.argv[1])
    infos = TypeAdapter(ClipInfo)
    for line in sys.stdin:
        answer: dict[str, object]
        try:
            answer = {"info": infos.dump_python(probe(Path(json.loads(line)), limits), mode="json")}
        except MediaError as error:
            answer = {"error": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
