"""Clients as processes, in closed loop (next request after the last answer) or open loop (fixed arrival rate).

In the open loop a latency counts from the moment the request was due, not from when the client got to send it, so a
server that stalls is charged for everybody who waited.
"""

import collections
import multiprocessing
import random
import time
from multiprocessing.connection import wait

from . import processes
from .connection import Answer, Connection
from .figures import Round, Tally

FORK = multiprocessing.get_context("fork")  # the prepared work is shared with the clients, not copied
SAMPLE = 1.0  # seconds between two looks at the server's memory


def run(target, work, clients=4, duration=None, rate=None, seed=0):
    """Drive `work(target, client, random)`, a generator of jobs, by N clients; a Round."""
    barrier = FORK.Barrier(clients + 1)
    pipes, children = [], []
    for client in range(clients):
        here, there = FORK.Pipe(duplex=False)
        arguments = (target, work, client, clients, duration, rate, seed, barrier, there)
        child = FORK.Process(target=_client, args=arguments, daemon=True)
        child.start()
        there.close()
        pipes.append(here)
        children.append(child)
    cpu = processes.cpu(target.pid) if target.pid else None
    peak = 0 if target.pid else None
    barrier.wait(timeout=120)
    began = time.monotonic()
    answers, waiting = [], set(pipes)
    while waiting:
        for pipe in wait(waiting, timeout=SAMPLE if target.pid else None):
            answers.append(pipe.recv())
            waiting.discard(pipe)
        if target.pid:
            peak = max(peak, sum(p.pss for p in processes.memory(target.pid)))
    for child in children:
        child.join()
    tallies, found = {}, []
    for result in answers:
        if isinstance(result, BaseException):
            raise result
        for label, tally in result["tallies"].items():
            tallies.setdefault(label, Tally()).add(tally)
        found += result["found"]
    return Round(
        elapsed=max(r["ended"] for r in answers) - began,
        tallies=tallies,
        found=found,
        cpu=processes.cpu(target.pid) - cpu if target.pid else None,
        peak=peak,
        unsent=sum(r["unsent"] for r in answers),
        client_cpu=sum(r["cpu"] for r in answers),
        pieces=sum((r["pieces"] for r in answers), collections.Counter()),
    )


def _client(target, work, client, clients, duration, rate, seed, barrier, pipe):
    try:
        jobs = work(target, client, random.Random(seed * 1000 + client))
        job = next(jobs, None)  # prepared before the clock starts
        barrier.wait(timeout=120)
        schedule = _due(client, clients, rate) if rate else None
        pipe.send(_loop(Connection(target), jobs, job, duration, schedule))
    except Exception as error:
        pipe.send(RuntimeError(f"client {client}: {error!r}"))


def _due(client, clients, rate):
    """Moments at which this client's arrivals are due."""
    began = time.monotonic()
    turn = client
    while True:
        yield began + turn / rate
        turn += clients


def _loop(connection, jobs, job, duration, schedule):
    """Send job after job until the work or the time is over."""
    clock, tallies, found, unsent, pieces = time.monotonic, {}, [], 0, collections.Counter()
    used = time.process_time()
    deadline = clock() + duration if duration else float("inf")
    while job is not None:
        if schedule:
            due = next(schedule)
            if due >= deadline:
                break
            now = clock()
            if now >= deadline:
                unsent += 1
                continue
            if due > now:
                time.sleep(due - now)
        elif (due := clock()) >= deadline:
            break
        tally = tallies.get(job.label)
        if tally is None:
            tally = tallies[job.label] = Tally()
        try:
            answer = connection.ask(job.raw)
        except OSError as error:
            answer = Answer(0, b"", repr(error).encode())
        tally.seconds.append(clock() - due)
        if answer.status in job.expect:
            tally.resources += job.resources
            pieces[job.piece] += 1
            if job.harvest:
                found += job.harvest(answer)
        else:
            tally.errors += 1
            if len(tally.examples) < 3:
                tally.examples.append(f"{answer.status} {answer.body[:300].decode(errors='replace')}")
        try:
            job = jobs.send(answer)
        except StopIteration:
            break
    connection.close()
    return {
        "tallies": tallies,
        "found": found,
        "unsent": unsent,
        "pieces": pieces,
        "ended": clock(),
        "cpu": time.process_time() - used,
    }
