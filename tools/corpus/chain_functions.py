"""Functions that are chains over a list of numbers: a filter, a map and a reducer."""

from corpus.function import build, number_lists

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
