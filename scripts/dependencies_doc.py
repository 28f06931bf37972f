"""Write docs/model-dependencies.md from conf/."""

from pathlib import Path

from reelbench.report.dependencies_doc import dependencies_page

if __name__ == "__main__":
    page = Path(__file__).parents[1] / "docs" / "model-dependencies.md"
    page.write_text(dependencies_page(), encoding="utf-8")
