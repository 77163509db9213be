"""Grade-school word problems with worked steps and a final line "#### N".

A template draws its numbers, tells a story, and works it out step by step; each step holds one
equation "a + b = c" of whole numbers. The equations and the template's name are the key of a
problem: names and wording are not, so that no test problem is a training problem in other clothes.

Numbers are small: tables up to twelve, sums and differences of a few hundred. A solution is worded
as its question is, so that nothing in it is left to chance: a reader who knows the template and can
reckon knows every token.
"""

import dataclasses

from corpus import (
    buying_problems, counting_problems, event_problems, measuring_problems, sharing_problems)
from corpus.story import Story

TEMPLATES = (*buying_problems.TEMPLATES, *sharing_problems.TEMPLATES, *counting_problems.TEMPLATES,
             *measuring_problems.TEMPLATES, *event_problems.TEMPLATES)
WEIGHTS = [1] * (len(TEMPLATES) - 1) + [6]  # the last has as many shapes as several others


@dataclasses.dataclass
class Problem:
    key: tuple
    question: str
    steps: list
    answer: int

    def solution(self):
        return "\n".join([*self.steps, f"#### {self.answer}"])


def draw_problem(draw):
    (template,) = draw.choices(TEMPLATES, WEIGHTS)
    s = Story(draw)
    template(s)
    key = ("math", template.__name__, *s.equations)
    return Problem(key, " ".join(s.sentences), s.steps, s.result)
