"""Word problems that go on: stories of two to five events."""

from corpus.story import BAKED, FOODS, THINGS


def gain(s, who, x, n):
    k = s.number(2, 40)
    s.tell(f"{who} gets {k} more.", f"Then {who} finds {k} more.",
           f"A friend gives {who} {k} more.",
           f"After that {who} buys {k} {x}.")
    return s.work(n, "+", k, f"Now {who} has {{}} {x}.", "That makes {}.",
                  f"Then there are {{}} {x}.")


def loss(s, who, x, n):
    k = s.number(1, min(n - 1, 30))
    s.tell(f"{who} loses {k} of them.", f"Then {who} gives {k} away.",
           f"After that {who} sells {k}.",
           f"{k} of the {x} break.")
    return s.work(n, "-", k, f"Now {who} has {{}} {x}.", "That leaves {}.",
                  f"Then there are {{}} {x}.")


def doubling(s, who, x, n):
    k = s.pick(2, 3)
    word = {2: "doubles", 3: "triples"}[k]
    s.tell(f"In the next month {who} {word} the number.", f"Then {who} {word} what is there.",
           f"By working hard {who} {word} the number of {x}.")
    return s.work(k, "*", n, f"Now {who} has {{}} {x}.", f"It {word} to {{}}.",
                  f"Then there are {{}} {x}.")


def halving(s, who, x, n):
    k = s.pick(*(d for d in (2, 3, 4) if n % d == 0))
    word = {2: "half", 3: "a third", 4: "a quarter"}[k]
    s.tell(f"{who} gives {word} of them to a friend.", f"Then {who} sells {word} of them.",
           f"{word.capitalize()} of them are lost.")
    m = s.work(n, "/", k, f"{word.capitalize()} of them is {{}}.", "Gone are {}.")
    return s.work(n, "-", m, f"Now {who} has {{}} {x}.", "That leaves {}.",
                  f"Then there are {{}} {x}.")


def packs(s, who, x, n):
    a, b = s.number(2, 6), s.number(2, 10)
    s.tell(f"{who} buys {a} packs of {b}.", f"Then come {a} packs with {b} {x} each.",
           f"An aunt brings {a} boxes of {b} {x}.")
    m = s.work(a, "*", b, "The packs hold {}.", f"In the packs are {{}} {x}.")
    return s.work(n, "+", m, f"Now {who} has {{}} {x}.", "That makes {}.",
                  f"Then there are {{}} {x}.")


EVENTS = (gain, loss, doubling, halving, packs)


def story(s):
    who, x = s.draw.person(), s.draw.choice(THINGS + FOODS + BAKED)
    n = s.number(5, 60)
    s.tell(f"{who} has {n} {x}.", f"At first {who} has {n} {x}.", f"{who} starts with {n} {x}.",
           f"On Monday {who} has {n} {x}.")
    for event in s.draw.choices(EVENTS, weights=(3, 3, 1, 2, 2), k=s.draw.randint(2, 4)):
        two_steps = event in (halving, packs)
        if len(s.steps) == 4 and two_steps or n > 60 and event is doubling:
            event = gain
        if event is halving and (n > 120 or n % 2 and n % 3) or n < 3:
            event = gain
        n = event(s, who, x, n)
        if len(s.steps) == 5:
            break
    s.tell(f"How many {x} does {who} have now?", f"How many {x} does {who} have at the end?",
           "How many are there at the end?")


def passengers(s):
    what = s.draw.choice(["bus", "train", "tram", "ferry", "subway car"])
    n = s.number(10, 60)
    s.tell(f"A {what} starts with {n} people.", f"{n} people are on a {what}.")
    for stop in ("first", "second"):
        off, on = s.number(1, min(n, 15)), s.number(1, 15)
        s.tell(f"At the {stop} stop {off} get off and {on} get on.",
               f"At the {stop} stop {on} get on and {off} get off.")
        n = s.work(n, "-", off, f"At the {stop} stop {{}} stay.",
                   f"After {off} get off there are {{}}.")
        n = s.work(n, "+", on, f"With the new ones there are {{}}.",
                   f"After {on} get on there are {{}}.")
    s.tell(f"How many people are on the {what} now?", "How many people are on it then?")


TEMPLATES = (passengers, story)
