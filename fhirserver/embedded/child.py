"""Become another program that dies with the process that started this one.

    python -I -S child.py SIGNAL PARENT UID:GID|- NICE FOLDER -- PROGRAM ARGUMENT...

The kernel sends SIGNAL when the parent goes away, kill -9 included (prctl(2), PR_SET_PDEATHSIG). A change of user
clears that request, so it is made last; the parent is compared once more in case it died before.
The working folder is entered before the user changes: its parents need not be open to that user.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number, parent):
    """Ask for signal `number` at the death of `parent`; leave at once when it is dead already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def launch(program, *arguments, death=signal.SIGKILL, user="-", nice=0, folder="."):
    """The command line that runs a program under this launcher."""
    launcher = [os.path.abspath(__file__), int(death), os.getpid(), user, nice, folder, "--"]
    return [sys.executable, "-I", "-S", *map(str, (*launcher, program, *arguments))]


def main(number, parent, user, nice, folder, separator, *program):
    assert separator == "--"
    os.chdir(folder)
    if user != "-":
        uid, gid = map(int, user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if int(nice):
        os.nice(int(nice))
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    die_with_parent(int(number), int(parent))
    os.execv(program[0], program)


if __name__ == "__main__":
    main(*sys.argv[1:])
