"""One small Python function of the corpus, and how it is put together."""

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
