"""Functions of texts and lists."""

from corpus.function import build, number_lists

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
