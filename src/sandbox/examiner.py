"""Examines a program that nobody has looked at, by tests that it cannot see.

Two processes. The candidate holds the program and does what it is asked: call a function, fetch an
attribute. The examiner holds the tests and the only way to tell a verdict; where the tests name the
function that is tested, it asks the candidate over a pipe. What comes back is copied as plain data
of known types, so that an answer has no behaviour of its own; any other object stays with the
candidate, and the examiner holds its number.

stdin holds {"program", "solution", "function", "tests"}, stdout gets one of
    passed
    raised EXCEPTION
    ended SOMEHOW
and what program and tests print goes to stderr.
"""

import ast
import builtins
import collections
import ctypes
import datetime
import decimal
import fractions
import json
import operator
import os
import signal
import sys
import traceback
import types

LONGEST_REASON = 400  # characters

TYPES = {name: each for name, each in vars(builtins).items() if isinstance(each, type)}
LARGE = 1 << 63  # decimal digits of larger numbers may be refused

# Data that is copied, beside what JSON knows: name, type, to simpler data, and back.
KINDS = [
    ("int", int, hex, lambda digits: int(digits, 16)),
    ("tuple", tuple, list, tuple),
    ("set", set, list, set),
    ("frozenset", frozenset, list, frozenset),
    ("deque", collections.deque, list, collections.deque),
    ("dict", dict, lambda d: [list(item) for item in d.items()], dict),
    ("bytes", bytes, list, bytes),
    ("bytearray", bytearray, list, bytearray),
    ("complex", complex, lambda c: [c.real, c.imag], lambda parts: complex(*parts)),
    ("range", range, lambda r: [r.start, r.stop, r.step], lambda parts: range(*parts)),
    ("slice", slice, lambda s: [s.start, s.stop, s.step], lambda parts: slice(*parts)),
    ("Decimal", decimal.Decimal, str, decimal.Decimal),
    ("Fraction", fractions.Fraction, str, fractions.Fraction),
    ("datetime", datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    ("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    ("type", type, lambda t: t.__name__, lambda name: TYPES[name]),
]
BUILDERS = {name: back for name, _, _, back in KINDS}


def pack(value, number_of):
    """Data that JSON can write; number_of(value) where the value is none that is copied."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int) and -LARGE < value < LARGE:
        return value
    if isinstance(value, list):
        return [pack(each, number_of) for each in value]
    for name, kind, simpler, _ in KINDS:
        if isinstance(value, kind) and (kind is not type or value in TYPES.values()):
            return {name: pack(simpler(value), number_of)}
    return {"object": number_of(value)}


def unpack(data, object_of):
    if isinstance(data, list):
        return [unpack(each, object_of) for each in data]
    if isinstance(data, dict):
        ((name, content),) = data.items()
        return object_of(content) if name == "object" else BUILDERS[name](unpack(content, object_of))
    return data


def reason_of(failure):
    """The last line of a traceback, such as "NameError: name 'y' is not defined"."""
    text = "".join(traceback.format_exception_only(type(failure), failure)).strip()
    return text.splitlines()[-1][:LONGEST_REASON] if text else type(failure).__name__


def as_main_module():
    """An empty module in the place of this one."""
    sys.modules["__main__"] = types.ModuleType("__main__")
    return sys.modules["__main__"]


class Candidate:
    """The process of the program: carries out what comes through `requests`."""

    def __init__(self, requests, answers):
        self.requests, self.answers = requests, answers
        self.names = vars(as_main_module())
        self.objects = []
        self.actions = {
            "load": self.load,
            "named": self.named,
            "call": lambda function, *args, **named: function(*args, **named),
            "getattr": getattr,
            "setattr": setattr,
            "getitem": operator.getitem,
            "iter": iter,
            "next": next,
            "len": len,
            "bool": bool,
        }

    def load(self, program):
        exec(compile(program, "program.py", "exec"), self.names)

    def named(self, name):
        if name not in self.names:
            raise NameError(f"name {name!r} is not defined")
        return self.names[name]

    def number_of(self, value):
        self.objects.append(value)
        return len(self.objects) - 1

    def answer_to(self, request):
        try:
            args = unpack(request["args"], self.objects.__getitem__)
            named = {
                name: unpack(data, self.objects.__getitem__)
                for name, data in request["named"].items()
            }
            value = self.actions[request["do"]](*args, **named)
            return json.dumps({"value": pack(value, self.number_of)})
        except SystemExit:
            raise
        except BaseException as failure:
            known = next(kind for kind in type(failure).__mro__ if kind in TYPES.values())
            return json.dumps({"raised": known.__name__, "why": reason_of(failure)})

    def serve(self):
        for line in self.requests:
            self.answers.write(self.answer_to(json.loads(line)) + "\n")
            self.answers.flush()


class Ended(BaseException):
    """The candidate is gone, or has said what is no answer."""


class Raised(Exception):
    """What the candidate has raised. Only its subclasses are of a type that tests may expect."""

    @staticmethod
    def like(name, why):
        kind = TYPES.get(name, Exception)
        bases = (kind, Raised) if issubclass(kind, Exception) and kind is not Exception else (Raised,)
        like = type("Raised", bases, {})
        failure = like.__new__(like)
        failure.why = why
        return failure


class Examiner:
    """Holds the tests, and asks the candidate for what they call."""

    def __init__(self, process, requests, answers):
        self.process, self.requests, self.answers = process, requests, answers
        self.end = ""  # how the candidate ended, if it has

    def ask(self, action, *args, **named):
        if not self.end:
            request = {
                "do": action,
                "args": pack(list(args), number_of_remote),
                "named": {name: pack(value, number_of_remote) for name, value in named.items()},
            }
            try:
                self.requests.write(json.dumps(request) + "\n")
                self.requests.flush()
                line = self.answers.readline()
            except BrokenPipeError:
                line = ""
            if line:
                return self.taken(line)
            self.end = self.how_it_ended()
        raise Ended

    def taken(self, line):
        try:
            answer = json.loads(line)
            if "raised" not in answer:
                return unpack(answer["value"], lambda number: Remote(self, int(number)))
            failure = Raised.like(str(answer["raised"]), str(answer["why"])[:LONGEST_REASON])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            self.end = "wrote into the pipe of its answers"
            raise Ended from None
        raise failure

    def how_it_ended(self):
        _, status = os.waitpid(self.process, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return f"was ended by signal {-code}"
        return f"exit code {code}" if code else "ended before its tests"

    def run_tests(self, program, solution, function, tests):
        self.ask("load", program)
        # Helpers that the tests use are those of the file's solution, not the program's.
        names = vars(as_main_module())
        exec(compile(solution, "solution.py", "exec"), names)
        for name in [function] if function else tested_names(solution, names, tests):
            names[name] = self.ask("named", name)
        exec(compile(tests, "tests.py", "exec"), names)

    def verdict(self, task):
        try:
            self.run_tests(**task)
            raised = ""
        except BaseException as failure:
            raised = getattr(failure, "why", "") or reason_of(failure)
        # A test that expects an exception must not take the candidate's end for one.
        if self.end:
            return "ended " + self.end
        return "raised " + raised if raised else "passed"


class Remote:
    """An object that stays with the candidate. It equals only itself."""

    def __init__(self, examiner, number):
        object.__setattr__(self, "_examiner", examiner)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args, **named):
        return self._examiner.ask("call", self, *args, **named)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._examiner.ask("getattr", self, name)

    def __setattr__(self, name, value):
        self._examiner.ask("setattr", self, name, value)

    def __getitem__(self, key):
        return self._examiner.ask("getitem", self, key)

    def __iter__(self):
        return self._examiner.ask("iter", self)

    def __next__(self):
        return self._examiner.ask("next", self)

    def __len__(self):
        return self._examiner.ask("len", self)

    def __bool__(self):
        return self._examiner.ask("bool", self)


def number_of_remote(value):
    if not isinstance(value, Remote):
        raise TypeError(f"tests cannot hand over a {type(value).__name__}")
    return object.__getattribute__(value, "_number")


def tested_names(solution, names, tests):
    """What the tests name of what the solution has made of itself."""
    imports = (ast.Import, ast.ImportFrom)
    imported = {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(ast.parse(solution))
        if isinstance(node, imports)
        for alias in node.names
    }
    used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
    tested = sorted(used & (names.keys() - imported))
    if not tested:
        raise NameError("the tests name nothing that the file's solution defines")
    return tested


def become_unreadable():
    """From here on the candidate, though of the same user, cannot look into this process."""
    PR_SET_DUMPABLE = 4
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        sys.exit("prctl failed")


def main():
    request_read, request_write = os.pipe()
    answer_read, answer_write = os.pipe()
    process = os.fork()
    if process == 0:
        # Of the examiner's this process has only its ends of the pipes; nothing was read yet.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.close(request_write)
        os.close(answer_read)
        Candidate(open(request_read), open(answer_write, "w")).serve()
        os._exit(0)
    os.close(request_read)
    os.close(answer_write)
    become_unreadable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # others do nothing to a namespace's first process
    verdict = os.dup(1)
    os.dup2(2, 1)
    task = json.load(sys.stdin)
    examiner = Examiner(process, open(request_write, "w"), open(answer_read))
    os.write(verdict, examiner.verdict(task).encode(errors="replace"))
    os._exit(0)


if __name__ == "__main__":
    main()
