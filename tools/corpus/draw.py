"""Random choices, and the rule that keeps held-out items out of the training text."""

import hashlib
import random

# Of 256 parts of all items that can be drawn, so many are held out; the others are for training.
HELD_OUT = {"test": 13, "validation": 7}

PEOPLE = (
    "Ada Amir Anna Ben Bella Carl Chloe Clara Daniel Dina Elena Eli Emma Eric Fatima Felix Grace "
    "Hana Hugo Ida Ivan Jack Jada Jonas Julia Kai Kira Lara Leo Lily Liam Maya Mia Milo Nadia Nina "
    "Noah Nora Olga Omar Oscar Paul Pia Quinn Rosa Ruby Ryan Sam Sara Sofia Tara Theo Tina Tom Uma "
    "Vera Victor Wendy Yara Yusuf Zoe"
).split()


def side_of(key):
    """"train", "test" or "validation": where the item of this key belongs; a matter of the key
    alone. A key that ends in None has nothing like it, and belongs to the training text."""
    if key[-1] is None:
        return "train"
    part = hashlib.sha256(repr(key).encode()).digest()[0]
    for side, parts in HELD_OUT.items():
        if part < parts:
            return side
        part -= parts
    return "train"


class Draw(random.Random):
    """Draws that depend on the seed alone."""

    def number(self, low, high, multiple=1):
        """A multiple of `multiple` in [low, high]."""
        return multiple * self.randint(-(-low // multiple), high // multiple)

    def people(self, count):
        return self.sample(PEOPLE, count)

    def person(self):
        return self.choice(PEOPLE)
