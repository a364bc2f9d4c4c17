"""Work spread over processes: each takes the next unit when it has answered the last, so memory stays bounded."""

import multiprocessing
import signal
from multiprocessing.connection import wait

FORK = multiprocessing.get_context("fork")  # what is imported and configured is shared
LEAVE = 60  # seconds that a process has to end its last unit


class ProcessEnded(Exception):
    """A process died at work; what it had not committed is not there."""


class Pool:
    """`with Pool(2, work) as pool: for result in pool.map(units)`; results come as they are ready.

    Open no database connection before: a connection must not be shared by two processes.
    """

    def __init__(self, count, work):
        pairs = [FORK.Pipe() for _ in range(count)]
        self.pipes, self.processes = [ours for ours, _ in pairs], {}
        for ours, theirs in pairs:
            others = [end for pair in pairs for end in pair if end is not theirs]
            process = FORK.Process(target=_serve, args=(theirs, others, work), daemon=True)
            process.start()
            self.processes[ours] = process
        for _, theirs in pairs:
            theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in self.pipes:
            pipe.close()  # which is the end of work for the process behind it
        for process in self.processes.values():
            process.join(LEAVE)
            if process.is_alive():
                process.kill()

    def map(self, units):
        """Results of the units, in the order in which they are ready."""
        units, idle, busy = iter(units), list(self.pipes), set()
        while True:
            while idle and (unit := next(units, None)) is not None:
                pipe = idle.pop()
                pipe.send(unit)
                busy.add(pipe)
            if not busy:
                return
            for pipe in wait(busy):
                try:
                    result = pipe.recv()
                except EOFError:
                    process = self.processes[pipe]
                    process.join(LEAVE)
                    raise ProcessEnded(f"A loading process ended with {ending(process.exitcode)}.") from None
                busy.discard(pipe)
                idle.append(pipe)
                if isinstance(result, BaseException):
                    raise result
                yield result


def ending(code):
    return f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"


def _serve(pipe, others, work):
    """Answer units until there are no more; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for end in others:
        end.close()  # else the end of the parent would go unnoticed
    while True:
        try:
            unit = pipe.recv()
        except EOFError:
            return
        try:
            answer = work(unit)
        except Exception as error:
            answer = error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
