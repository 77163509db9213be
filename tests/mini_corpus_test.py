#!/usr/bin/env python3
"""The corpus of the bundled model: the same every time, held-out items apart from the training
text, and every answer right.

    python3 tests/mini_corpus_test.py
"""

import collections
import doctest
import fractions
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from corpus import choices, drills, functions, plain_text, word_problems  # noqa: E402
from corpus.draw import HELD_OUT, Draw, side_of  # noqa: E402

SEED = 20240229
# What every child knows and no question says: parts of a week, an hour, a dollar, a percent; legs,
# sides; halves and thirds, twice and three times.
KNOWN = {1, 2, 3, 4, 5, 6, 7, 8, 10, 25, 60, 100}


def value_of(expression):
    """The value of "12 * 3 / 4", from the left; written apart from the generator's arithmetic."""
    parts = expression.split(" ")
    value = fractions.Fraction(parts[0])
    for sign, number in zip(parts[1::2], map(fractions.Fraction, parts[2::2])):
        value = {"+": value + number, "-": value - number, "*": value * number,
                 "/": value / number if number else None}[sign]
    return value


def numbers_in(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class WordProblems(unittest.TestCase):
    def setUp(self):
        draw = Draw(SEED)
        self.problems = [word_problems.draw_problem(draw) for _ in range(20_000)]

    def check(self, problem):
        text = f"{problem.question}\n{problem.solution()}"
        equations = re.findall(r"(\d+(?: [-+*/] \d+)+) = (-?\d+)", "\n".join(problem.steps))
        self.assertEqual(len(equations), len(problem.steps), text)
        known = KNOWN | set(numbers_in(problem.question))
        for expression, result in equations:
            self.assertEqual(value_of(expression), int(result), text)
            for number in numbers_in(expression):
                self.assertIn(number, known, text)
            known.add(int(result))
        self.assertGreaterEqual(int(equations[-1][1]), 0, text)
        self.assertEqual(problem.solution().splitlines()[-1], f"#### {equations[-1][1]}", text)
        self.assertIn(len(problem.steps), range(2, 6), text)
        self.assertRegex(problem.question, r"^[A-Z0-9].*[?.]$")
        self.assertNotRegex(text, r"[{}]")

    def test_every_step_is_right_and_uses_what_is_known(self):
        for problem in self.problems:
            self.check(problem)

    def test_every_number_of_the_question_is_used(self):
        # But for lengths of a lap or of a day that a question may mention by the way.
        for problem in self.problems:
            if problem.key[1] in ("laps", "pages", "profit"):
                continue
            unused = collections.Counter(numbers_in(problem.question))
            unused -= collections.Counter(numbers_in("\n".join(problem.steps)))
            self.assertFalse(set(unused) - {1, 2}, f"{problem.question}\n{problem.solution()}")

    def test_there_is_variety(self):
        names = collections.Counter(problem.key[1] for problem in self.problems)
        self.assertEqual(len(names), len(word_problems.TEMPLATES))
        self.assertGreater(min(names.values()), 200)
        self.assertGreater(len({problem.key for problem in self.problems}), 15_000)
        shapes = {re.sub(r"\d+", "0", "\n".join(p.steps)) for p in self.problems}
        self.assertGreater(len(shapes), 6_000)

    def test_a_question_has_one_solution(self):
        # And one key: else it could stand on both sides.
        solutions = {}
        for problem in self.problems:
            found = problem.solution(), problem.key
            self.assertEqual(found, solutions.setdefault(problem.question, found), problem.question)
        self.assertLess(len(solutions), len(self.problems) - 100)  # some were met again
        shape = lambda text: re.sub(r"\d+", "0", text)
        worded = collections.defaultdict(set)
        for problem in self.problems:
            if problem.key[1] not in ("story", "passengers"):  # of several events
                worded[shape(problem.question)].add(shape(problem.solution()))
        self.assertEqual([q for q, ways in worded.items() if len(ways) > 1], [])

    def test_numbers_are_small(self):
        results = [int(result) for problem in self.problems
                   for result in re.findall(r"= (\d+)", "\n".join(problem.steps))]
        self.assertLess(sum(result >= 200 for result in results) / len(results), 0.1)
        self.assertLess(max(results), 2000)


class Drills(unittest.TestCase):
    def test_equations_are_right(self):
        draw = Draw(SEED)
        for _ in range(2000):
            text = drills.draw_drill(draw)
            equations = re.findall(r"(\d+ [-+*/] \d+) = (\d+)", text)
            self.assertEqual(len(equations), text.count("="), text)
            for expression, result in equations:
                self.assertEqual(value_of(expression), int(result), text)


class Functions(unittest.TestCase):
    def setUp(self):
        draw = Draw(SEED)
        self.functions = [functions.draw_function(draw) for _ in range(4000)]

    def test_bodies_pass_their_tests(self):
        for function in self.functions:
            source = function.prompt + function.body
            space = {}
            exec(source + "\n" + function.test(), space)  # our own text
            space["check"](space[function.name])

    def test_tests_fail_for_another_body(self):
        failed = 0
        for function in self.functions[:500]:
            space = {}
            exec(function.prompt + "    return 'wrong'\n" + function.test(), space)
            try:
                space["check"](space[function.name])
            except AssertionError:
                failed += 1
        self.assertEqual(failed, 500)

    def test_docstrings_show_what_is_true(self):
        for function in self.functions[:1000]:
            space = {}
            exec(function.prompt + function.body, space)
            out = io.StringIO()
            finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
            for example in finder.find(space[function.name], function.name, globs=space):
                self.assertGreaterEqual(len(example.examples), 1)
                runner.run(example, out=out.write)
            self.assertEqual(runner.failures, 0, out.getvalue())

    def test_one_key_is_one_computation(self):
        # Functions of one key agree on each other's cases, whatever their parameters are called.
        first = {}
        for function in self.functions:
            other = first.setdefault(function.key, function)
            space = {}
            exec(other.prompt + other.body, space)
            for arguments, result in function.cases:
                self.assertEqual(space[other.name](*arguments), result, function.key)

    def test_a_prompt_has_one_body(self):
        # Of the examples in a docstring nothing in the body may depend.
        bodies = {}
        for function in self.functions:
            head = function.prompt.split(">>>")[0]
            found = function.body, function.key
            self.assertEqual(found, bodies.setdefault(head, found), head)

    def test_there_is_variety(self):
        self.assertGreater(len({function.key for function in self.functions}), 1500)


class Choices(unittest.TestCase):
    def setUp(self):
        draw = Draw(SEED)
        self.questions = [choices.draw_question(draw) for _ in range(8000)]

    def right_answer(self, question):
        """Looked up in the tables anew."""
        _, name, *rest = question.key
        if name in choices.RELATIONS:
            return choices.RELATIONS[name][0][rest[0]]
        more, _, things = choices.ORDERS[name]
        places = [thing.strip() for thing in things.split(",")]
        grows = question.context == more[0].format(a=question.choices[0], b=question.choices[1])
        return (max if grows else min)(question.choices, key=places.index)

    def test_the_answer_is_among_different_choices(self):
        for question in self.questions:
            self.assertEqual(len(set(question.choices)), len(question.choices))
            self.assertIn(len(question.choices), (2, 4))
            self.assertEqual(question.choices[question.answer], self.right_answer(question))

    def test_the_place_of_the_answer_says_nothing(self):
        places = collections.Counter((len(q.choices), q.answer) for q in self.questions)
        for (count, _), found in places.items():
            expected = sum(len(q.choices) == count for q in self.questions) / count
            self.assertLess(abs(found - expected), 5 * expected**0.5)

    def test_tables_are_well_formed(self):
        for name, (facts, ways, statements) in choices.RELATIONS.items():
            self.assertGreaterEqual(len(set(facts.values())), 4, name)
            self.assertGreaterEqual(len(ways), 4, name)
            self.assertTrue(all(way.count("{}") == 1 for way in ways), name)
            self.assertTrue(all(text.count("{}") == 2 for text in statements), name)
            self.assertTrue(all(key and value for key, value in facts.items()), name)


class PlainText(unittest.TestCase):
    def test_there_is_english_and_python(self):
        size = collections.Counter()
        for _, kind, text in plain_text.documents():
            size[kind] += len(text)
        self.assertGreater(size["python"], 3_000_000)
        self.assertGreater(size["english"], 500_000)


class TheCorpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.make("one")

    @classmethod
    def make(cls, name, *flags):
        command = [sys.executable, ROOT / "tools/mini_corpus.py", cls.folder / name,
                   "--megabytes", "3", "--test-items", "60", *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
        return {path.name: path.read_bytes() for path in (cls.folder / name).iterdir()}

    def items(self, name):
        return read_lines(self.folder / "one" / name)

    def test_the_same_seed_gives_the_same_bytes(self):
        first = {path.name: path.read_bytes() for path in (self.folder / "one").iterdir()}
        self.assertEqual(self.make("two"), first)
        self.assertEqual(len(first), 13)
        other = self.make("other", "--seed", "2")
        self.assertNotEqual(other["train.jsonl"], first["train.jsonl"])
        self.assertNotEqual(other["test_math.jsonl"], first["test_math.jsonl"])

    def test_items_have_their_fields(self):
        kinds = collections.Counter()
        for item in self.items("train.jsonl"):
            self.assertEqual(list(item), ["kind", "prompt", "text"])
            self.assertTrue(item["text"])
            kinds[item["kind"]] += len((item["prompt"] + item["text"]).encode())
        for kind, share in {"math": 0.50, "code": 0.19, "choice": 0.07}.items():
            self.assertAlmostEqual(kinds[kind] / 3e6, share, delta=0.01)
        drills = sum(len(item["text"]) for item in self.items("drills.jsonl"))
        self.assertAlmostEqual(drills / 3e6, 0.07, delta=0.01)
        self.assertAlmostEqual((kinds["english"] + kinds["python"]) / 3e6, 0.17, delta=0.1)
        for side in HELD_OUT:
            for kind in ("math", "code", "choice"):
                self.assertEqual(len(self.items(f"{side}_{kind}.jsonl")), 60)
            self.assertGreater(len(self.items(f"{side}_plain.jsonl")), 20)
            for item in self.items(f"{side}_choice.jsonl"):
                self.assertIn(item["answer"], range(len(item["choices"])))

    def check_apart(self, train, side):
        """No item of the side is among the training items or the lines of another side."""
        texts = {item["text"] for item in train}
        for item in self.items(f"{side}_math.jsonl") + self.items(f"{side}_plain.jsonl"):
            self.assertNotIn(item["text"], texts)
        prompts = {item["prompt"] for item in train}
        for item in self.items(f"{side}_math.jsonl") + self.items(f"{side}_code.jsonl"):
            self.assertNotIn(item["prompt"], prompts)
        questions = "\n".join(prompts)
        for item in self.items(f"{side}_choice.jsonl"):
            question = item["context"].split("Question: ")[1].split("\nAnswer:")[0]
            self.assertNotIn(question, questions)

    def test_no_held_out_item_is_in_another_file(self):
        train = self.items("train.jsonl")
        self.check_apart(train, "test")
        for kind in ("math", "code", "choice", "plain"):
            train += self.items(f"test_{kind}.jsonl")
        self.check_apart(train, "validation")

    def test_a_key_is_on_one_side(self):
        for kind, make in (("math", word_problems.draw_problem),
                           ("code", functions.draw_function), ("choice", choices.draw_question)):
            draw = Draw(kind)
            keys = {make(draw).key for _ in range(5000)}
            sides = collections.Counter(map(side_of, keys))
            for side, parts in HELD_OUT.items():
                expected = len(keys) * parts / 256
                self.assertLess(abs(sides[side] - expected), 5 * expected**0.5, (kind, side))
        self.assertEqual(side_of(("code", "swap", None)), "train")


if __name__ == "__main__":
    unittest.main()
