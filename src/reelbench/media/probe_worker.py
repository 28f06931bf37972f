"""``python -m reelbench.media.probe_worker LIMITS``: probes each path that comes in on stdin, one JSON line each way.

Says ``{"ready": true}`` when it has loaded; then reads ``"path"`` and answers ``{"info": …}`` or ``{"error": …, "hint": …}``.
It is killed when it hangs: see safe_probe.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av  # noqa: F401 - loaded before it says that it is ready
from pydantic import TypeAdapter

from reelbench.errors import MediaError
from reelbench.media.probing import probe
from reelbench.media.types import ClipInfo, Limits
from reelbench.processes import die_with_parent


def main() -> None:
    die_with_parent()
    limits = TypeAdapter(Limits).validate_json(sys.argv[1])
    infos = TypeAdapter(ClipInfo)
    answer_with({"ready": True})
    for line in sys.stdin:
        answer: dict[str, object]
        try:
            answer = {"info": infos.dump_python(probe(Path(json.loads(line)), limits), mode="json", exclude={"path"})}
        except MediaError as error:
            answer = {"error": error.message, "hint": error.hint}
        answer_with(answer)


def answer_with(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
