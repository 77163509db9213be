"""Small Python functions: a signature with a docstring, a body, and tests.

Most are chains: a filter, a map and a reducer over a list, written as a loop or as a
comprehension. Others come from families with parameters of their own. Expected values come from
references that are written apart from the bodies; the generator's own test runs every body
against them.

Whoever calls a list `numbers` calls its entries `number` and writes loops; whoever calls it `xs`
writes comprehensions. So a body is in the style of its signature, and nothing in it is left to
chance.

The key of a function is what it computes, without the names of its parameters. Its last part is
None where nothing can be varied: such a function has no siblings from which it could be learnt.
"""

import dataclasses
import textwrap


@dataclasses.dataclass
class Function:
    key: tuple
    name: str
    prompt: str  # signature and docstring
    body: str
    cases: list  # of (arguments, result)

    def test(self):
        lines = ["def check(candidate):"]
        for arguments, result in self.cases:
            lines.append(f"    assert candidate({', '.join(map(repr, arguments))}) == {result!r}")
        return "\n".join(lines) + "\n"


def build(draw, key, name, parameters, doc, body, reference, arguments):
    """`body` is the code below the docstring, not indented; `arguments` the inputs of the tests."""
    cases = [(args, reference(*args)) for args in arguments]
    # An interpreter shows nothing for None.
    telling = [case for case in cases if case[1] is not None]
    shown = draw.sample(telling, min(len(telling), draw.choice((1, 1, 2))))
    lines = [f"def {name}({', '.join(parameters)}):", f'    """{doc}', ""]
    for args, result in shown:
        lines += [f"    >>> {name}({', '.join(map(repr, args))})", f"    {result!r}"]
    lines.append('    """')
    return Function(("code", *key), name, "\n".join(lines) + "\n",
                    textwrap.indent(body, "    ") + "\n", cases)


def number_lists(draw, count=4, low=-20, high=40):
    """Lists to try, of two to six numbers."""
    return [[draw.randint(low, high) for _ in range(draw.randint(2, 6))] for _ in range(count)]


# --- chains over lists of numbers -----------------------------------------------------------------

# word, condition on {v}, reference; {k} is a drawn number
FILTERS = (
    ("", None, lambda v, k: True),
    ("even", "{v} % 2 == 0", lambda v, k: not v & 1),
    ("odd", "{v} % 2 == 1", lambda v, k: bool(v & 1)),
    ("positive", "{v} > 0", lambda v, k: v >= 1),
    ("negative", "{v} < 0", lambda v, k: v <= -1),
    ("non-zero", "{v} != 0", lambda v, k: bool(v)),
    ("large", "{v} > {k}", lambda v, k: v >= k + 1),
    ("small", "{v} < {k}", lambda v, k: v <= k - 1),
    ("divisible", "{v} % {k} == 0", lambda v, k: v // k * k == v),
)
FILTER_DOCS = {"large": "numbers greater than {k}", "small": "numbers less than {k}",
               "divisible": "multiples of {k}"}
FILTER_NAMES = {"large": "above_{k}", "small": "below_{k}", "divisible": "multiples_of_{k}",
                "non-zero": "nonzero"}
# name, doc, expression on {v}, reference
MAPS = (
    ("", "{what}", "{v}", lambda v, m: v),
    ("squares", "squares of the {what}", "{v} * {v}", lambda v, m: v ** 2),
    ("cubes", "cubes of the {what}", "{v} ** 3", lambda v, m: v * v * v),
    ("doubles", "doubles of the {what}", "2 * {v}", lambda v, m: v + v),
    ("absolutes", "absolute values of the {what}", "abs({v})", lambda v, m: max(v, -v)),
    ("shifted_by_{m}", "{what}, each increased by {m},", "{v} + {m}", lambda v, m: v - -m),
    ("times_{m}", "{what}, each multiplied by {m},", "{v} * {m}", lambda v, m: sum([v] * m)),
    ("negated", "negated {what}", "-{v}", lambda v, m: 0 - v),
)
# name, doc, start, update with {x}, expression over {items}, reference
REDUCERS = (
    ("sum", "Return the sum of the {what}.", "0", "{r} += {x}", "sum({items})", sum),
    ("count", "Count the {what}.", "0", "{r} += 1", None, len),
    ("product", "Return the product of the {what}.", "1", "{r} *= {x}", None,
     lambda items: items[0] * REDUCERS[2][5](items[1:]) if items else 1),
    ("list", "Return a list of the {what}.", "[]", "{r}.append({x})", "[{plain}]", list),
    ("largest", "Return the largest of the {what}, or None if there are none.", None, None,
     "max({items}, default=None)", lambda items: sorted(items)[-1] if items else None),
    ("smallest", "Return the smallest of the {what}, or None if there are none.", None, None,
     "min({items}, default=None)", lambda items: sorted(items)[0] if items else None),
    ("sorted", "Return the {what} in increasing order.", None, None, "sorted({items})",
     lambda items: sorted(items, reverse=True)[::-1]),
    ("first", "Return the first of the {what}, or None if there are none.", None, None,
     "next(({plain}), None)", lambda items: items[0] if items else None),
    ("reversed", "Return the {what} in reverse order.", None, None, "[{plain}][::-1]",
     lambda items: [items[-1 - i] for i in range(len(items))]),
    ("distinct", "Return the number of different {what}.", None, None, "len(set({items}))",
     lambda items: len({i: None for i in items})),
)


# What a list is called: what its entries are called, and whether there are loops where they can be.
STYLES = {"numbers": ("number", True), "values": ("value", True), "items": ("item", True),
          "data": ("x", False), "xs": ("x", False)}


def chain_body(parameter, condition, value, reducer):
    """A loop or an expression, whichever the reducer has; of both, that of the style."""
    _, _, start, update, expression, _ = reducer
    v, loops = STYLES[parameter]
    element = value.replace("{v}", v)
    test = condition.replace("{v}", v) if condition else ""
    plain = f"{element} for {v} in {parameter}" + (f" if {test}" if test else "")
    if expression and not (update and loops):
        # sum() takes what comes one by one; the others get a list.
        items = plain if expression == "sum({items})" else f"[{plain}]"
        return "return " + expression.format(items=items, plain=plain)
    r = "result" if start == "[]" else "total"
    lines = [f"{r} = {start}", f"for {v} in {parameter}:"]
    step = update.format(r=r, x=element)
    lines += [f"    if {test}:", f"        {step}"] if test else [f"    {step}"]
    return "\n".join([*lines, f"return {r}"])


def chain(draw):
    word, condition, keep = draw.choice(FILTERS)
    map_name, map_doc, value, change = draw.choice(MAPS)
    reducer = draw.choice(REDUCERS)
    k, m = draw.randint(2, 12), draw.randint(2, 9)
    parameter = draw.choice(list(STYLES))
    plain = FILTER_DOCS.get(word, f"{word} numbers".strip()).format(k=k)
    what = map_doc.format(what=f"{plain} in {parameter}", m=m)
    name = "_".join(part for part in (
        reducer[0], FILTER_NAMES.get(word, word).format(k=k), map_name.format(m=m)) if part)
    if not word and not map_name:
        name += "_of_" + parameter
    body = chain_body(parameter, condition and condition.replace("{k}", str(k)),
                      value.replace("{m}", str(m)), reducer)
    doc = reducer[1].format(what=what).replace(",.", ".").replace(",,", ",")
    uses_k, uses_m = "{k}" in (condition or ""), "{m}" in value
    key = ("chain", word, map_name, reducer[0], k if uses_k else 0, m if uses_m else 0)
    reference = lambda items: reducer[5]([change(v, m) for v in items if keep(v, k)])
    # The last but one has something for every filter.
    lists = [*number_lists(draw, 4), [2 * k, draw.randint(-9, 30), -k, 1], []]
    return build(draw, key, name, [parameter], doc, body, reference, [(l,) for l in lists])


# --- functions of numbers -------------------------------------------------------------------------


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


# --- functions of texts ---------------------------------------------------------------------------

WORDS = ("apple banana cherry river stone window garden letter music yellow orange purple silver "
         "winter summer autumn spring dog cat bird fish tree house cloud rain snow moon star paper "
         "table chair bottle basket Hello World Python level noon radar kayak A b Zoo eye").split()


def texts(draw, count=5):
    return [(" ".join(draw.choices(WORDS, k=draw.randint(1, 4))),) for _ in range(count)]


def text_function(draw):
    s = draw.choice(["text", "s", "string", "line", "phrase"])
    c = draw.choice("abeinorstl")
    n = draw.randint(1, 6)
    options = (
        (f"count_{c}", f"Count how often the letter {c} occurs in {s}.", f"return {s}.count('{c}')",
         lambda t: sum(x == c for x in t), c),
        (f"without_{c}", f"Return {s} without the letter {c}.", f"return {s}.replace('{c}', '')",
         lambda t: "".join(x for x in t if x != c), c),
        ("reverse", f"Return {s} backwards.", f"return {s}[::-1]", lambda t: "".join(reversed(t)),
         0),
        ("is_palindrome", f"Return whether {s} reads the same backwards.",
         f"return {s} == {s}[::-1]", lambda t: list(t) == list(reversed(t)), 0),
        (f"first_{n}", f"Return the first {n} characters of {s}.", f"return {s}[:{n}]",
         lambda t: "".join(x for i, x in enumerate(t) if i < n), n),
        (f"last_{n}", f"Return the last {n} characters of {s}.", f"return {s}[-{n}:]",
         lambda t: "".join(x for i, x in enumerate(t) if i >= len(t) - n), n),
        (f"repeat_{n}", f"Return {s} repeated {n} times.", f"return {s} * {n}",
         lambda t: "".join(t for _ in range(n)), n),
        ("count_words", f"Return the number of words in {s}.", f"return len({s}.split())",
         lambda t: t.count(" ") + 1, 0),
        ("longest_word", f"Return the longest word in {s}, the first of equals.",
         f"return max({s}.split(), key=len)", lambda t: sorted(t.split(), key=len, reverse=True)[0],
         0),
        ("capitalize_words", f"Return {s} with every word capitalized.",
         f"return ' '.join(word.capitalize() for word in {s}.split())",
         lambda t: " ".join(w[0].upper() + w[1:].lower() for w in t.split()), 0),
        (f"words_longer_than_{n}", f"Return the words in {s} with more than {n} letters.",
         f"return [word for word in {s}.split() if len(word) > {n}]",
         lambda t: list(filter(lambda w: len(w) >= n + 1, t.split())), n),
        (f"words_with_{c}", f"Return the words in {s} that contain the letter {c}.",
         f"return [word for word in {s}.split() if '{c}' in word]",
         lambda t: [w for w in t.split() if w.find(c) >= 0], c),
        (f"starts_with_{c}", f"Return whether {s} starts with the letter {c}.",
         f"return {s}.startswith('{c}')", lambda t: t[0] == c, c),
        (f"ends_with_{c}", f"Return whether {s} ends with the letter {c}.",
         f"return {s}.endswith('{c}')", lambda t: t[-1] == c, c),
        ("count_vowels", f"Return the number of vowels in {s}.",
         f"return sum(c in 'aeiou' for c in {s}.lower())",
         lambda t: sum(t.lower().count(v) for v in "aeiou"), 0),
        ("only_vowels", f"Return the vowels of {s} in their order.",
         f"return ''.join(c for c in {s} if c in 'aeiou')",
         lambda t: "".join(x for x in t if "aeiou".find(x) >= 0), 0),
        ("upper_case", f"Return {s} in upper case.", f"return {s}.upper()",
         lambda t: "".join(x.upper() for x in t), 0),
        ("swap_ends", f"Return {s} with its first and last characters swapped.",
         f"if len({s}) < 2:\n    return {s}\nreturn {s}[-1] + {s}[1:-1] + {s}[0]",
         lambda t: t if len(t) < 2 else "".join([t[-1], *t[1:-1], t[0]]), 0),
        (f"every_{n + 1}th", f"Return every character of {s} whose index is a multiple of {n + 1}.",
         f"return {s}[::{n + 1}]", lambda t: "".join(x for i,
                                                     x in enumerate(t) if i % (n + 1) == 0), n),
        ("letter_counts", f"Return a dictionary of how often each letter occurs in {s}.",
         f"counts = {{}}\nfor c in {s}:\n    counts[c] = counts.get(c, 0) + 1\nreturn counts",
         lambda t: {x: t.count(x) for x in t}, 0),
        ("word_lengths", f"Return the lengths of the words in {s}.",
         f"return [len(word) for word in {s}.split()]", lambda t: list(map(len, t.split(" "))), 0),
        ("acronym", f"Return the first letters of the words in {s} in upper case.",
         f"return ''.join(word[0] for word in {s}.split()).upper()",
         lambda t: "".join(w[:1].upper() for w in t.split()), 0),
        (f"surround_{n}", f"Return {s} between {n} stars on each side.",
         f"return '*' * {n} + {s} + '*' * {n}", lambda t: t.join(["*" * n] * 2), n),
        (f"replace_{c}", f"Return {s} with every letter {c} replaced by a dash.",
         f"return {s}.replace('{c}', '-')", lambda t: "-".join(t.split(c)), c),
    )
    name, doc, body, reference, parameter = draw.choice(options)
    return build(draw, ("text", name, parameter or None), name, [s], doc, body, reference,
                 texts(draw))


# --- functions of lists ---------------------------------------------------------------------------


def list_function(draw):
    l = draw.choice(["items", "values", "numbers", "data", "seq"])
    n = draw.randint(1, 5)
    options = (
        (f"rotate_{n}", f"Move the first {n} entries of {l} to its end.",
         f"return {l}[{n}:] + {l}[:{n}]", lambda a: [*a[n:], *a[:n]], n),
        (f"take_{n}", f"Return the first {n} entries of {l}.", f"return {l}[:{n}]",
         lambda a: [v for i, v in enumerate(a) if i < n], n),
        (f"drop_{n}", f"Return {l} without its first {n} entries.", f"return {l}[{n}:]",
         lambda a: [v for i, v in enumerate(a) if i >= n], n),
        ("deduplicate", f"Return the entries of {l} without repetitions, in their order.",
         f"seen = []\nfor v in {l}:\n    if v not in seen:\n        seen.append(v)\nreturn seen",
         lambda a: list(dict.fromkeys(a)), 0),
        ("is_sorted", f"Return whether {l} is in increasing order.",
         f"return all({l}[i] <= {l}[i + 1] for i in range(len({l}) - 1))", lambda a: a == sorted(a),
         0),
        ("running_sum", f"Return the running sums of {l}.",
         f"total = 0\nresult = []\nfor v in {l}:\n    total += v\n    result.append(total)\nreturn "
         f"result", lambda a: [sum(a[: i + 1]) for i in range(len(a))], 0),
        ("differences", f"Return the differences of neighbours in {l}.",
         f"return [b - a for a, b in zip({l}, {l}[1:])]",
         lambda a: [a[i + 1] - a[i] for i in range(len(a) - 1)], 0),
        (f"largest_{n}", f"Return the {n} largest entries of {l}, the largest first.",
         f"return sorted({l}, reverse=True)[:{n}]", lambda a: sorted(a)[::-1][:n], n),
        (f"smallest_{n}", f"Return the {n} smallest entries of {l}, the smallest first.",
         f"return sorted({l})[:{n}]", lambda a: sorted(a, reverse=True)[::-1][:n], n),
        ("index_of_largest", f"Return the index of the largest entry of {l}, the first of equals.",
         f"return {l}.index(max({l}))", lambda a: min(i for i, v in enumerate(a) if v == max(a)),
         0),
        ("range_of", f"Return the difference between the largest and the smallest entry of {l}.",
         f"return max({l}) - min({l})", lambda a: sorted(a)[-1] - sorted(a)[0], 0),
        ("mean", f"Return the average of {l}.", f"return sum({l}) / len({l})",
         lambda a: sum(a) / len(a), 0),
        ("without_ends", f"Return {l} without its first and last entries.", f"return {l}[1:-1]",
         lambda a: [v for i, v in enumerate(a) if 0 < i < len(a) - 1], 0),
        (f"chunks_of_{n + 1}", f"Cut {l} into lists of {n + 1} entries; the last may be shorter.",
         f"return [{l}[i:i + {n + 1}] for i in range(0, len({l}), {n + 1})]",
         lambda a: [[a[j] for j in range(i, min(i + n + 1, len(a)))] for i in range(0, len(a),
                                                                                    n + 1)], n),
        (f"every_{n + 1}", f"Return the entries of {l} whose index is a multiple of {n + 1}.",
         f"return {l}[::{n + 1}]", lambda a: [v for i, v in enumerate(a) if i % (n + 1) == 0], n),
        ("counts", f"Return a dictionary of how often each entry occurs in {l}.",
         f"result = {{}}\nfor v in {l}:\n    result[v] = result.get(v, 0) + 1\nreturn result",
         lambda a: {v: a.count(v) for v in a}, 0),
        (f"contains_{n}", f"Return whether {n} is in {l}.", f"return {n} in {l}",
         lambda a: a.count(n) > 0, n),
        (f"replace_negative_by_{n}", f"Return {l} with every negative entry replaced by {n}.",
         f"return [{n} if v < 0 else v for v in {l}]",
         lambda a: [max(v, -1) if v >= 0 else n for v in a], n),
        ("pairs", f"Return the pairs of neighbours in {l} as tuples.",
         f"return list(zip({l}, {l}[1:]))", lambda a: [(a[i], a[i + 1]) for i in range(len(a) - 1)],
         0),
        (f"interleave_{n}", f"Return {l} with {n} after every entry.",
         f"result = []\nfor v in {l}:\n    result += [v, {n}]\nreturn result",
         lambda a: [w for v in a for w in (v, n)], n),
        (f"add_index_times_{n}", f"Return {l} with {n} times the index added to every entry.",
         f"return [v + {n} * i for i, v in enumerate({l})]",
         lambda a: [a[i] + sum([i] * n) for i in range(len(a))], n),
        ("split_by_sign", f"Return the negative entries of {l} and the others as two lists.",
         f"negative = [v for v in {l} if v < 0]\nothers = [v for v in {l} if v >= 0]\nreturn "
         f"negative, others", lambda a: (list(filter(lambda v: v < 0, a)),
                                         list(filter(lambda v: not v < 0, a))), 0),
    )
    name, doc, body, reference, parameter = draw.choice(options)
    lists = [(entries,) for entries in number_lists(draw, 5, -9, 20)]
    return build(draw, ("list", name, parameter or None), name, [l], doc, body, reference, lists)


FAMILIES = (chain, linear, threshold, clamp, divisible_by, convert, two_numbers, recursive,
            text_function, list_function)
WEIGHTS = (10, 1, 2, 1, 1, 1, 2, 2, 5, 4)


def draw_function(draw):
    (family,) = draw.choices(FAMILIES, WEIGHTS)
    return family(draw)
