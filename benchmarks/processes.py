"""Memory and CPU of a server: its process tree, shared pages counted once. (proc(5), smaps_rollup: Pss)"""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    name: str
    pss: int  # bytes


def tree(pid):
    """The process and all below it that still live."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pss(pid):
    """Proportional set size in bytes: private pages and this process's share of the shared ones."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def memory(pid):
    """Each process of the tree with its PSS, largest first."""
    found = []
    for process in tree(pid):
        try:
            words = process.cmdline() or [process.name()]
            found.append(Process(process.pid, " ".join(words)[:100], pss(process.pid)))
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            continue  # ended while we looked
    return sorted(found, key=lambda p: -p.pss)


def cpu(pid):
    """CPU seconds used by the tree so far; children that ended are in their parent's account."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
