"""Too many open files: told before libzmq would abort the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from selo.transport.descriptors import require_descriptors

EXHAUSTED = "1 too many files are open in this process"
CODE = """
import os, resource, sys
from selo.transport.descriptors import DescriptorsExhausted, require_descriptors
free = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for number in taken[:free]:
    os.close(number)
try:
    require_descriptors()
    told = "enough"
except DescriptorsExhausted as error:
    told = f"{error.exit_status} {error}"
left = [os.open(os.devnull, os.O_RDONLY) for _ in range(free)]
print(told)
"""


@pytest.mark.parametrize(
    ("free", "told"),
    [(0, EXHAUSTED), (15, EXHAUSTED), (16, "enough"), (30, "enough")],
)
def test_a_process_with_too_many_open_files_is_told_so(free: int, told: str) -> None:
    """Fewer than sixteen free descriptors are an error with words, and what was tried is given back."""
    command = [sys.executable, "-c", CODE, str(free)]
    process = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"{told}\n"


def test_asking_opens_nothing() -> None:
    """The next descriptor has the number that it would have had."""
    before = os.open(os.devnull, os.O_RDONLY)
    os.close(before)
    require_descriptors()
    after = os.open(os.devnull, os.O_RDONLY)
    os.close(after)
    assert after == before
