"""Sums as in a workbook: short lines of small equations, in the form that steps of word problems
have. Nothing in them is held out; what is tested is a problem, not a table.
"""


def plus(draw):
    a, b = draw.randint(2, 120), draw.randint(1, 60)
    draw.shuffle(pair := [a, b])
    return pair[0], "+", pair[1], a + b


def minus(draw):
    a, b = draw.randint(1, 120), draw.randint(1, 60)
    draw.shuffle(parts := [a, b])
    return a + b, "-", parts[0], parts[1]


def times(draw):
    tables, tens, beyond = (12, 1, 12), (9, 10, 9), (40, 1, 5)
    high, unit, other = draw.choice((tables, tables, tens, beyond))
    a, b = unit * draw.randint(2, high), draw.randint(2, other)
    draw.shuffle(pair := [a, b])
    return pair[0], "*", pair[1], a * b


def divided(draw):
    a, _, b, product = times(draw)
    return product, "/", a, b


OPERATIONS = (plus, minus, times, divided)
WEIGHTS = (4, 4, 3, 1)


def draw_drill(draw):
    """A few lines of five sums each."""
    lines = []
    for _ in range(draw.randint(2, 5)):
        sums = [operation(draw) for operation in draw.choices(OPERATIONS, WEIGHTS, k=5)]
        lines.append("Sums: " + ", ".join(f"{a} {op} {b} = {c}" for a, op, b, c in sums) + ".")
    return "\n".join(lines)
