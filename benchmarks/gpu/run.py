"""What a GPU makes of it: every technique of qwen2_vl_temporal with random weights, YOLO and OCR where their packages are there.

    python benchmarks/gpu/run.py                      # 2B, then 7B, and the rest; docs/gpu.md
    python benchmarks/gpu/run.py --device cpu --size tiny --arms sdpa batched    # no GPU: that the script runs

Needs numpy, torch and transformers (onnxruntime for OCR), no network and no installation: it reads src/ and conf/ beside it. What else
a technique needs and the machine lacks is refused with the reason. Exit: 0 done · 2 wrong arguments · 4 no such device here ·
5 tokens differ where they must not, or something else ran than was asked for.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
PARTS = (
    *("narration", "yolo11n", "whisper_large_v3_turbo", "segformer_b0", "clip_vit_b32"),
    *("copies", "bitsandbytes", "recogniser"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", nargs="+", default=["2b", "7b"], help="Qwen2-VL sizes: tiny, small, 2b, 7b")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="these only, and baseline")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=4, help="segments a pass")
    parser.add_argument("--tokens", type=int, default=64, help="tokens a segment")
    parser.add_argument("--store", type=Path, help="the model store, for OCR")
    parser.add_argument("--brought", type=Path, help="a folder that benchmarks/gpu/bring.py has filled")
    parser.add_argument("--out", type=Path, default=ROOT / "reports")
    options = parser.parse_args()

    import torch

    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(
            "this PyTorch sees no CUDA device (--device cpu --size tiny tries the script without one)", file=sys.stderr
        )
        return 4
    from arms import arms
    from narration import Plan, measure
    from parts import all_arms
    from roofline import ceilings

    import report

    try:
        chosen = arms(ROOT / "conf", options.device, options.arms)
    except ValueError as error:
        parser.error(str(error))
    about = {"command": shlex.join(["python", *sys.argv]), "environment": report.environment(options.device)}
    size_of_parts = "full" if options.device.startswith("cuda") else "tiny"
    arms_of_parts = all_arms(options.device, size_of_parts, options.brought, options.store)
    wrong: list[str] = []
    page = options.out
    for size in options.size if "narration" in options.parts else []:
        best = ceilings(options.device)
        plan = Plan(size, options.device, options.windows, options.tokens, options.rounds, best)
        found = measure(chosen, plan)
        sizes = {"windows": plan.windows, "tokens": plan.tokens, "rounds": plan.rounds, "ceilings": best}
        page = report.write(
            options.out, options.device, {f"qwen2_vl_temporal {size}": about | sizes | {"found": found}}
        )
        equal = found.get("equal_in_fp32", {})
        wrong += [f"{size} {name}: {said}" for name, said in equal.items() if said.startswith("NOT")]
        wrong += [f"{size} {name}: {arm['contradiction']}" for name, arm in found.items() if arm.get("contradiction")]
        wrong += [f"{size} baseline: {found['baseline']['refused']}"] if "refused" in found["baseline"] else []
    for part in [part for part in options.parts if part != "narration"]:
        rows: dict[str, Any] = {}
        for arm in [arm for arm in arms_of_parts if arm.part == part]:
            try:
                rows[arm.name] = arm.measure(options.device, size_of_parts, options.rounds)
                wrong += [f"{part} {arm.name}: {rows[arm.name]['wrong']}"] if rows[arm.name]["wrong"] else []
            except Exception as error:  # noqa: BLE001  one arm's failure is a row; the others are measured
                rows[arm.name] = {"refused": f"{type(error).__name__}: {error}"}
            page = report.write(options.out, options.device, {part: about | {"found": rows}})
    print(page)
    for line in wrong:
        print(line, file=sys.stderr)
    return 5 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
