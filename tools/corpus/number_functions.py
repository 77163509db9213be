"""Functions of one or two numbers."""

from corpus.function import build


def linear(draw):
    a, b = draw.randint(2, 12), draw.randint(1, 30)
    x = draw.choice(["x", "n", "value"])
    name, doc, body = draw.choice((
        (f"scale_by_{a}_and_add_{b}", f"Multiply {x} by {a} and add {b}.",
         f"return {a} * {x} + {b}"),
        (f"times_{a}_plus_{b}", f"Return {a} times {x} plus {b}.", f"return {x} * {a} + {b}"),
    ))
    inputs = [(draw.randint(-20, 50),) for _ in range(5)]
    return build(draw, ("linear", a, b), name, [x], doc, body, lambda v: sum([v] * a) + b, inputs)


def threshold(draw):
    low, high = sorted(draw.sample(range(1, 100), 2))
    words = draw.choice([("low", "medium", "high"), ("cold", "mild", "hot"),
                         ("small", "normal", "large"),
                         ("bad", "fair", "good"), ("short", "average", "tall"),
                         ("slow", "steady", "fast")])
    x = draw.choice(["x", "score", "value", "level"])
    doc = (f"Return '{words[0]}' if {x} is below {low}, '{words[1]}' if it is below {high}, "
           f"and '{words[2]}' otherwise.")
    name = f"classify_{x}"
    body = (f"if {x} < {low}:\n    return '{words[0]}'\nif {x} < {high}:\n    return '{words[1]}'\n"
            f"return '{words[2]}'")
    if draw.random() < 0.5:
        name = f"{words[0]}_or_{words[2]}"
        body = (f"if {x} < {low}:\n    return '{words[0]}'\nelif {x} < {high}:\n    return "
                f"'{words[1]}'\n"
                f"else:\n    return '{words[2]}'")
    inputs = [(v,) for v in (low - 1, low, high - 1, high, high + 7)]
    return build(draw, ("threshold", low, high, words), name, [x], doc, body,
                 lambda v: words[(v >= low) + (v >= high)], inputs)


def clamp(draw):
    low = draw.randint(-20, 20)
    high = low + draw.randint(5, 60)
    x = draw.choice(["x", "value", "n"])
    verb, body = draw.choice((
        ("clamp", f"return max({low}, min({high}, {x}))"),
        ("limit", f"if {x} < {low}:\n    return {low}\nif {x} > {high}:\n    return {high}\n"
                  f"return {x}"),
    ))
    inputs = [(v,) for v in (low - 5, low, (low + high) // 2, high, high + 9)]
    return build(draw, ("clamp", low, high), f"{verb}_{x}", [x],
                 f"Limit {x} to the range from {low} to {high}.", body,
                 lambda v: sorted((low, v, high))[1], inputs)


def divisible_by(draw):
    a, b = draw.sample(range(2, 14), 2)
    x = draw.choice(["n", "x", "number"])
    both = draw.random() < 0.5
    word = "and" if both else "or"
    body = f"return {x} % {a} == 0 {word} {x} % {b} == 0"
    inputs = [(v,) for v in (a * b, a, b, a * b + 1, draw.randint(1, 100))]
    name = f"divisible_by_{a}_{word}_{b}"
    reference = lambda v: ((v in range(0, v + 1, a)) + (v in range(0, v + 1,
                                                                   b))) >= (2 if both else 1)
    return build(draw, ("divisible", a, b, both), name, [x],
                 f"Return whether {x} is divisible by {a} {word} by {b}.", body, reference, inputs)


def convert(draw):
    source, target, factor = draw.choice([
        ("hours", "minutes", 60), ("minutes", "seconds", 60), ("days", "hours", 24),
        ("weeks", "days", 7),
        ("feet", "inches", 12), ("yards", "feet", 3), ("meters", "centimeters", 100),
        ("kilometers", "meters", 1000), ("dozens", "pieces", 12), ("dollars", "cents", 100),
        ("years", "months", 12), ("quarters", "cents", 25), ("dimes", "cents", 10)])
    extra = draw.choice([0, 0, draw.randint(1, 50)])
    more = f" and add {extra}" if extra else ""
    body = f"return {source} * {factor}" + (f" + {extra}" if extra else "")
    inputs = [(draw.randint(0, 40),) for _ in range(4)]
    name = f"{source}_to_{target}" + (f"_plus_{extra}" if extra else "")
    return build(draw, ("convert", source, extra or None), name, [source],
                 f"Convert {source} to {target}{more}.", body,
                 lambda v: sum([factor] * v) + extra, inputs)


def two_numbers(draw):
    a, b = draw.choice([("a", "b"), ("x", "y"), ("first", "second"), ("left", "right"), ("m", "n")])
    k = draw.randint(2, 20)
    name, doc, body, reference = draw.choice((
        ("larger", f"Return the larger of {a} and {b}.", f"return {a} if {a} > {b} else {b}",
         lambda p, q: sorted((p, q))[1]),
        ("smaller", f"Return the smaller of {a} and {b}.", f"return {a} if {a} < {b} else {b}",
         lambda p, q: sorted((p, q))[0]),
        ("difference", f"Return how far apart {a} and {b} are.", f"return abs({a} - {b})", lambda p,
         q: max(p, q) - min(p, q)),
        ("sum_is_above", f"Return whether {a} plus {b} is greater than {k}.",
         f"return {a} + {b} > {k}", lambda p, q: p + q - k >= 1),
        ("both_above", f"Return whether {a} and {b} are both greater than {k}.",
         f"return {a} > {k} and {b} > {k}", lambda p, q: min(p, q) > k),
        ("either_above", f"Return whether {a} or {b} is greater than {k}.",
         f"return {a} > {k} or {b} > {k}", lambda p, q: max(p, q) > k),
        ("weighted", f"Return {a} plus {k} times {b}.", f"return {a} + {k} * {b}", lambda p,
         q: p + sum([q] * k)),
        ("swap", f"Return {b} and {a} as a tuple.", f"return {b}, {a}", lambda p, q: (q, p)),
        ("same_parity", f"Return whether {a} and {b} are both even or both odd.",
         f"return {a} % 2 == {b} % 2", lambda p, q: (p + q) % 2 == 0),
        ("area_minus", f"Return the product of {a} and {b}, less {k}.", f"return {a} * {b} - {k}",
         lambda p, q: sum([p] * q) - k),
    ))
    uses_k = str(k) in body
    inputs = [(draw.randint(0, 40), draw.randint(0, 40)) for _ in range(5)]
    return build(draw, ("two", name, k if uses_k else None), f"{name}_{k}" if uses_k else name,
                 [a, b], doc, body, reference, inputs)


def recursive(draw):
    n = draw.choice(["n", "k", "number"])
    kind = draw.choice(["factorial", "sum_to", "power", "fibonacci", "digits", "digit_sum",
                        "countdown", "remainder"])
    k = draw.randint(2, 9)
    short = n == "n"  # who writes "number" writes loops
    if kind == "factorial":
        doc, name = f"Return the factorial of {n}.", "factorial"
        body = f"if {n} <= 1:\n    return 1\nreturn {n} * factorial({n} - 1)"
        if not short:
            body = f"result = 1\nfor i in range(2, {n} + 1):\n    result *= i\nreturn result"
        reference = lambda v: __import__("math").factorial(v)
    elif kind == "sum_to":
        doc = f"Return the sum of the multiples of {k} from {k} to {n}."
        name = f"sum_multiples_of_{k}_to"
        body = f"return sum(range({k}, {n} + 1, {k}))"
        if not short:
            body = f"total = 0\nfor i in range({k}, {n} + 1, {k}):\n    total += i\nreturn total"
        reference = lambda v: k * (v // k) * (v // k + 1) // 2
    elif kind == "power":
        doc, name = f"Return {k} to the power of {n}.", f"power_of_{k}"
        body = f"return {k} ** {n}"
        if not short:
            body = f"result = 1\nfor _ in range({n}):\n    result *= {k}\nreturn result"
        reference = lambda v: pow(k, v)
    elif kind == "fibonacci":
        doc, name = f"Return the Fibonacci number {n}, beginning with 0 and {k}.", f"fibonacci_{k}"
        body = f"a, b = 0, {k}\nfor _ in range({n}):\n    a, b = b, a + b\nreturn a"
        fib = lambda v: v if v < 2 else fib(v - 1) + fib(v - 2)
        reference = lambda v: k * fib(v)
    elif kind == "digits":
        doc, name = f"Return how often the digit {k} occurs in {n}.", f"count_digit_{k}"
        body = f"return str({n}).count('{k}')"
        reference = lambda v: sum(c == str(k) for c in str(v))
    elif kind == "digit_sum":
        doc, name = f"Return {k} times the sum of the digits of {n}.", f"digit_sum_times_{k}"
        body = f"return {k} * sum(int(c) for c in str({n}))"
        if not short:
            body = (f"total = 0\nwhile {n} > 0:\n    total += {n} % 10\n    {n} //= 10\n"
                    f"return {k} * total")
        reference = lambda v: sum(k * int(c) for c in str(v))
    elif kind == "countdown":
        doc = f"Return the numbers from {n} down to 1 in steps of {k} as a list."
        name = f"countdown_by_{k}"
        body = f"return list(range({n}, 0, -{k}))"
        reference = lambda v: [v - i * k for i in range(v) if v - i * k >= 1]
    else:
        doc = (f"Return the numbers up to {n} that leave a remainder of {k - 1} when divided "
               f"by {k}.")
        name = f"remainder_{k - 1}_of_{k}"
        body = f"return [i for i in range(1, {n} + 1) if i % {k} == {k - 1}]"
        reference = lambda v: [i for i in range(k - 1, v + 1, k) if i > 0]
    inputs = [(v,) for v in draw.sample(range(0, 16), 5)]
    return build(draw, (kind, k if kind != "factorial" else None), name, [n], doc, body, reference,
                 inputs)
