"""Write the JSON Schemas of a result file and of a clip's outputs to docs/."""

import json
from pathlib import Path

from reelbench.results import json_schema
from reelbench.system.outputs.records import clip_json_schema

DOCS = Path(__file__).parents[1] / "docs"

if __name__ == "__main__":
    for name, schema in (("result", json_schema()), ("clip", clip_json_schema())):
        (DOCS / f"{name}.schema.json").write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
