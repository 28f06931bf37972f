"""Write the JSON Schema of a result file to docs/result.schema.json."""

import json
from pathlib import Path

from reelbench.results import json_schema

if __name__ == "__main__":
    target = Path(__file__).parents[1] / "docs" / "result.schema.json"
    target.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
