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

from corpus.chain_functions import chain
from corpus.number_functions import (
    clamp, convert, divisible_by, linear, recursive, threshold, two_numbers)
from corpus.sequence_functions import list_function, text_function

FAMILIES = (chain, linear, threshold, clamp, divisible_by, convert, two_numbers, recursive,
            text_function, list_function)
WEIGHTS = (10, 1, 2, 1, 1, 1, 2, 2, 5, 4)


def draw_function(draw):
    (family,) = draw.choices(FAMILIES, WEIGHTS)
    return family(draw)
