"""The peak is that of the program itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

PROGRAM = """
from peak_memory import peak_memory
before = peak_memory()
held = bytearray(200 * 2**20)
held = None
print(before, peak_memory())
"""


def test_a_programs_peak_is_its_own_and_not_that_of_who_started_it() -> None:
    large = np.ones(60 * 2**20)  # 480 MiB, held while the program runs
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert large.nbytes == 480 * 2**20
    assert before < 100
    assert 195 < after - before < 250
