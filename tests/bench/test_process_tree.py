"""CPU time of a tree of processes: what children and abandoned grandchildren use counts, whether they live or have ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reelbench.bench.process_tree import descendants, tree_cpu_s

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own figures are Linux's")

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
PARENT = """
import subprocess, sys
from reelbench.processes import keep_descendants
keep_descendants()
{work}
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(work: str) -> Iterator[subprocess.Popen[str]]:
    code = PARENT.format(work=work)
    started = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None and started.stdout.readline() == "there\n"
        yield started
    finally:
        started.communicate()


def test_own_work_and_that_of_a_child_that_has_ended() -> None:
    with process(BURN) as alone:
        assert 0.3 <= tree_cpu_s(alone.pid) < 3
    with process(f"subprocess.run([sys.executable, '-c', {BURN!r}])") as with_child:
        assert tree_cpu_s(with_child.pid) >= 0.3
        assert descendants(with_child.pid) == []
    assert tree_cpu_s(alone.pid) == 0.0, "a process that is gone"


def test_a_grandchild_whose_own_parent_has_ended_still_counts() -> None:
    grandchild = BURN + "print('burnt', flush=True); time.sleep(600)"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}])"
    work = f"""
child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, text=True)
child.wait()
assert child.stdout.readline() == 'burnt\\n'
"""
    with process(work) as parent:
        (left,) = descendants(parent.pid)
        assert tree_cpu_s(parent.pid) >= 0.3
        subprocess.run(["kill", str(left)], check=True)
