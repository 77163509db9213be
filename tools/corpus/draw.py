"""Random choices, and the rule that keeps test items out of the training text."""

import hashlib
import random

TEST_SHARE = 13 / 256  # of all items that can be drawn

PEOPLE = (
    "Ada Amir Anna Ben Bella Carl Chloe Clara Daniel Dina Elena Eli Emma Eric Fatima Felix Grace "
    "Hana Hugo Ida Ivan Jack Jada Jonas Julia Kai Kira Lara Leo Lily Liam Maya Mia Milo Nadia Nina "
    "Noah Nora Olga Omar Oscar Paul Pia Quinn Rosa Ruby Ryan Sam Sara Sofia Tara Theo Tina Tom Uma "
    "Vera Victor Wendy Yara Yusuf Zoe"
).split()


def is_test_item(key):
    """Whether the item of this key belongs to the test sets; a matter of the key alone. A key that
    ends in None has nothing like it, and belongs to the training text."""
    if key[-1] is None:
        return False
    digest = hashlib.sha256(repr(key).encode()).digest()
    return digest[0] < TEST_SHARE * 256


class Draw(random.Random):
    """Draws that depend on the seed alone."""

    def number(self, low, high, multiple=1):
        """A multiple of `multiple` in [low, high]."""
        return multiple * self.randint(-(-low // multiple), high // multiple)

    def people(self, count):
        return self.sample(PEOPLE, count)

    def person(self):
        return self.choice(PEOPLE)
