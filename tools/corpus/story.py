"""How a word problem is told and worked out, and the words that it is told in."""

import operator

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Story:
    """A problem while it is being told."""

    def __init__(self, draw):
        self.draw = draw
        self.sentences = []
        self.steps = []
        self.equations = []
        self.result = None
        self.wording = 0  # of the sentence that was told last

    def number(self, low, high, multiple=1):
        return self.draw.number(low, high, multiple)

    def pick(self, *values):
        return self.draw.choice(values)

    def tell(self, *variants):
        self.wording = self.draw.randrange(len(variants))
        self.sentences.append(variants[self.wording])

    def work(self, a, op, b, *variants):
        """Adds a step. A variant says what is computed, with {} where the equation stands; which of
        them is taken follows from the sentence that was told last."""
        if op == "/":
            assert b and a % b == 0, (a, b)
            self.result = a // b
        else:
            self.result = OPERATIONS[op](a, b)
        self.add_step(f"{a} {op} {b} = {self.result}", variants)
        return self.result

    def percent(self, percent, n, *variants):
        """Adds a step that computes a part of n, which must be a whole number."""
        assert percent * n % 100 == 0, (percent, n)
        self.result = percent * n // 100
        self.add_step(f"{percent} * {n} / 100 = {self.result}", variants)
        return self.result

    def add_step(self, equation, variants):
        self.equations.append(equation)
        self.steps.append(variants[self.wording % len(variants)].format(equation))


def plural(count, noun):
    return f"{count} {noun}" if count != 1 else f"{count} {singular(noun)}"


def singular(noun):
    for ending, replacement in (("ches", "ch"), ("shes", "sh"), ("ies", "y"), ("xes", "x")):
        if noun.endswith(ending) and noun not in ("cookies", "brownies", "pies", "ties"):
            return noun[: -len(ending)] + replacement
    return noun[:-1]


THINGS = [t.replace("toycars", "toy cars").replace("_", " ") for t in
          ("marbles stickers cards shells stamps coins beads buttons badges postcards puzzles "
           "crayons pencils toycars balloons toy_bricks comic_books paper_stars").split()]
FOODS = "apples pears oranges plums peaches lemons mangoes bananas melons figs limes kiwis".split()
SHOP = ("pens notebooks folders rulers erasers markers brushes candles mugs plates bowls spoons "
        "towels socks caps scarves belts lamps chairs baskets ropes boxes").split()
BAKED = "cookies muffins cupcakes brownies rolls bagels pies tarts scones pretzels".split()
PLANTS = "tomato pepper bean carrot onion lettuce pumpkin cabbage radish potato".split()
