"""One connection, spoken to by libpq's own calls: prepared statements, binary results, one round trip for many."""

from functools import partial
from itertools import takewhile
from select import POLLIN, POLLOUT, poll
from time import monotonic

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

from .deadline import left

# Statements that a connection keeps, and characters of them all: a plan takes some hundred bytes for each. What was not
# used for longest gives way.
MOST_PREPARED, MOST_TEXT = 256, 250_000
FIXED = "fixed"  # prepare: one plan for all values, whatever PostgreSQL would gain by planning for these
LONG = (
    3000  # characters of a statement that is FIXED: what a person may see takes ten times longer to plan than to find
)
ONE_PLAN, ANY_PLAN = (
    (f"SELECT set_config('plan_cache_mode', '{mode}', true)", (), True) for mode in ("force_generic_plan", "auto")
)
FRESH = 0.2  # seconds after its use that a connection is not looked at again
BAD = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)


class Session:
    """A connection in autocommit; a BEGIN waits for the first statement, queued statements wait for COMMIT."""

    def __init__(self, raw):
        self.raw, self.pg = raw, raw.pgconn
        self.adapted = Transformer(raw)  # keeps the dumpers and loaders it has looked up
        self.names = {}  # (text, types) -> name of the prepared statement, the one last used last
        self.made = self.text = 0  # how many were, and the length of those kept
        self.begin = None  # the BEGIN that waits
        self.queued = []  # (who asks, (text, params, prepare)) that wait
        self.answered = []  # results of what was asked before the statement that failed
        self.told = None  # whom the transaction was last told to ask for; see asking
        self.since = monotonic()
        self.readable = poll()
        self.readable.register(self.pg.socket, POLLIN)

    def idle(self):
        """Is it there, and in no transaction?"""
        self.since = monotonic()
        return self.pg.status == ConnStatus.OK and self.pg.transaction_status == TransactionStatus.IDLE

    def usable(self):
        """Is it idle still? A server that went away has closed the socket, which then is readable."""
        if monotonic() - self.since < FRESH:
            return True
        if self.readable.poll(0):
            try:
                self.pg.consume_input()
            except psycopg.OperationalError:
                return False
            return self.pg.status == ConnStatus.OK and not self.readable.poll(0)
        return self.pg.status == ConnStatus.OK

    def close(self):
        self.raw.close()

    def run(self, statements):
        """The result of each statement (text, params, prepare), all in one round trip.

        When one fails, those before it are in `answered`.
        """
        calls, ends, results, known, self.answered = [], [], [], dict(self.names), []
        if self.begin is not None:
            begin, self.begin = self.begin, None
            calls.append(lambda: self.pg.send_query_params(begin, ()))
        for text, params, prepare in statements:
            fixed = prepare == FIXED or (prepare and len(text) > LONG)
            if fixed:  # until the end of the round trip or of the transaction, else until it is over
                calls += self._calls(*ONE_PLAN)
            calls += self._calls(text, params, prepare)
            ends.append(len(calls) - 1)
            if fixed:
                calls += self._calls(*ANY_PLAN)
        try:
            self._trip(calls, results)
        except BaseException:
            good = sum(1 for _ in takewhile(lambda result: result.status not in BAD, results))
            self.answered = [results[n] for n in ends if n < good]
            # what was made or made anew in this round trip may not be there
            self.names = {k: name for k, name in self.names.items() if known.get(k) == name}
            self.text = sum(len(text) for text, _ in self.names)
            raise
        return [results[n] for n in ends]

    def rows(self, result):
        """Tuples of a result; none when the statement returns none."""
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self.adapted.set_pgresult(result, set_loaders=True, format=1)
        return self.adapted.load_rows(0, result.ntuples, tuple)

    def roll_back(self):
        """Leave the transaction, if there is one and the connection still stands."""
        self.begin, self.queued = None, []
        if self.pg.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            self._trip([lambda: self.pg.send_query_params(b"ROLLBACK", ())], [])

    def _calls(self, text, params, prepare):
        """What puts a statement on the wire."""
        values, types, formats = (), (), ()
        if params:
            adapted = self.adapted
            values = adapted.dump_sequence(params, [PyFormat.AUTO] * len(params))
            types, formats = adapted.types, adapted.formats
        if not prepare:
            return [lambda: self.pg.send_query_params(numbered(text), values, types, formats, 1)]
        name = self.names.pop((text, types), None)
        if name is not None:
            self.names[text, types] = name
            return [lambda: self.pg.send_query_prepared(name, values, formats, 1)]
        self.made += 1
        name = b"s%d" % self.made
        calls = []
        self.text += len(text)
        while self.names and (len(self.names) >= MOST_PREPARED or self.text > MOST_TEXT):
            key, oldest = next(iter(self.names.items()))
            del self.names[key]
            self.text -= len(key[0])
            calls.append(partial(self.pg.send_query_params, b"DEALLOCATE " + oldest, ()))
        calls.append(lambda: self.pg.send_prepare(name, numbered(text), types))
        calls.append(lambda: self.pg.send_query_prepared(name, values, formats, 1))
        self.names[text, types] = name
        return calls

    def _trip(self, calls, results):
        """Send, and receive the results; the first error is raised as psycopg would raise it."""
        pg, failed = self.pg, None
        if self.raw.closed:
            raise psycopg.OperationalError("the connection is closed")
        pg.enter_pipeline_mode()
        for call in calls:
            call()
        pg.pipeline_sync()
        while pg.flush():
            self._wait_to_write()
        while True:
            while pg.is_busy():
                wait(self.readable)
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                if pg.status != ConnStatus.OK:
                    raise psycopg.OperationalError("the connection was lost")
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
            if result.status in BAD and failed is None:
                failed = result
                if pg.status != ConnStatus.OK:
                    raise psycopg.errors.error_from_result(failed, encoding="utf-8")
            results.append(result)
        pg.exit_pipeline_mode()
        if failed is not None:
            raise psycopg.errors.error_from_result(failed, encoding="utf-8")

    def _wait_to_write(self):
        """The socket is full: wait until it takes more, reading what the server says meanwhile."""
        both = poll()
        both.register(self.pg.socket, POLLIN | POLLOUT)
        wait(both)
        self.pg.consume_input()


class TooLate(psycopg.OperationalError):
    """The deadline passed before the database answered; what became of the statement is not known."""


def wait(socket):
    """Until there is something to do at the socket, or the deadline has passed: the connection is then given up."""
    seconds = left()
    if not socket.poll(None if seconds is None else seconds * 1000):
        raise TooLate("the database did not answer in time")


_numbered = {}


def numbered(text):
    """%s places as $1, $2, ...; bytes."""
    found = _numbered.get(text)
    if found is None:
        parts = text.split("%s")
        found = parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], 1))
        found = found.replace("%%", "%").encode()
        if len(_numbered) < 4096:
            _numbered[text] = found
    return found
