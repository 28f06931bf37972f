"""Write docs/analyzers.md from conf/ and the system run that is committed as reports/system.json."""

from pathlib import Path

from reelbench.report.analyzers_doc import analyzers_page
from reelbench.system.records import SystemRecord

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    record = SystemRecord.model_validate_json((ROOT / "reports" / "system.json").read_bytes())
    (ROOT / "docs" / "analyzers.md").write_text(analyzers_page(record, ROOT / "docs"), encoding="utf-8")
