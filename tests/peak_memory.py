"""The peak of this process's resident memory, for programs that measure themselves.

`resource.getrusage` will not do: what it tells of a started program is at least what the one that started it held.
"""

from pathlib import Path


def peak_memory() -> float:
    """Megabytes (MiB), as Linux counts them since the program began.

    Raises:
        RuntimeError: this system has no such count.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"{status} has no line VmHWM: peaks of memory are measured on Linux")
