"""Word problems that compare people and share things among them."""

from corpus.story import BAKED, FOODS, THINGS, plural


def half_as_many(s):
    who, x = s.draw.person(), s.draw.choice(THINGS + BAKED)
    a, b = s.draw.sample(["April", "May", "June", "July", "August", "March"], 2)
    k = s.pick(2, 3, 4)
    n = k * s.number(3, 40)
    word = {2: "half", 3: "a third", 4: "a quarter"}[k]
    s.tell(f"{who} sold {n} {x} in {a} and {word} as many in {b}.",
           f"In {a} {who} sold {n} {x}, and in {b} only {word} of that number.")
    s.tell(f"How many {x} did {who} sell altogether?", f"How many {x} were sold in both months?")
    m = s.work(n, "/", k, f"In {b} {who} sold {{}} {x}.",
               f"{word.capitalize()} of {n} is {{}} {x}.")
    s.work(n, "+", m, f"In {a} and {b} together it is {{}} {x}.",
           f"Altogether {who} sold {{}} {x}.")


def three_people(s):
    (a, b, c), x = s.draw.people(3), s.draw.choice(THINGS)
    n, more, k = s.number(3, 30), s.number(2, 20), s.pick(2, 3)
    times = {2: "twice", 3: "three times"}[k]
    s.tell(f"{a} has {n} {x}. {b} has {more} more than {a}, and {c} has {times} as many as {b}.",
           f"{b} has {more} more {x} than {a}, who has {n}. {c} has {times} as many as {b}.")
    s.tell(f"How many {x} do the three have together?",
           f"How many {x} do {a}, {b} and {c} have in all?")
    p = s.work(n, "+", more, f"{b} has {{}} {x}.")
    q = s.work(k, "*", p, f"{c} has {{}} {x}.")
    r = s.work(n, "+", p, f"{a} and {b} have {{}} {x}.")
    s.work(r, "+", q, f"All three have {{}} {x}.", "Together that is {}.")


def fewer(s):
    (a, b), x = s.draw.people(2), s.draw.choice(THINGS + FOODS)
    n, less, gift = s.number(20, 99), s.number(2, 18), s.number(1, 15)
    s.tell(f"{a} has {n} {x}. {b} has {less} fewer.",
           f"{b} has {less} fewer {x} than {a}, who has {n}.")
    s.tell(f"Then {b} gets {gift} more. How many {x} does {b} have now?",
           f"How many {x} does {b} have after getting {gift} more?")
    m = s.work(n, "-", less, f"At first {b} has {{}} {x}.", f"{b} begins with {{}} {x}.")
    s.work(m, "+", gift, f"Now {b} has {{}} {x}.", f"With the new ones it is {{}} {x}.")


def sharing(s):
    who, x = s.draw.person(), s.draw.choice(THINGS + BAKED)
    friends, each = s.number(2, 9), s.number(2, 12)
    packs = s.draw.choice([d for d in range(2, 13) if friends * each % d == 0] or [1])
    per = friends * each // packs
    s.tell(f"{who} has {plural(packs, 'boxes')} with {plural(per, x)} in each and shares them "
           f"equally among {friends} friends.",
           f"{plural(packs, 'boxes')} of {plural(per, x)} each are shared equally by {friends} "
           f"friends of {who}.")
    s.tell("How many does each friend get?", f"How many {x} are there for each friend?")
    n = s.work(packs, "*", per, f"There are {{}} {x}.", f"In all there are {{}} {x}.")
    s.work(n, "/", friends, f"Each friend gets {{}} {x}.", f"For every friend there are {{}} {x}.")


def ages(s):
    a, b, c = s.draw.people(3)
    x, k, d, y = s.number(3, 15), s.pick(2, 3), s.number(1, 9), s.number(2, 10)
    times = {2: "twice", 3: "three times"}[k]
    s.tell(f"{c} is {x} years old. {b} is {times} as old as {c}, and {a} is {d} years older than "
           f"{b}.",
           f"{a} is {d} years older than {b}, and {b} is {times} as old as {c}, who is {x}.")
    s.tell(f"How old will {a} be in {y} years?", f"What will be the age of {a} after {y} years?")
    p = s.work(k, "*", x, f"{b} is {{}} years old.")
    q = s.work(p, "+", d, f"{a} is {{}} years old.", f"Today {a} is {{}} years old.")
    s.work(q, "+", y, f"In {y} years {a} will be {{}} years old.")


def trade(s):
    (a, b), x = s.draw.people(2), s.draw.choice(THINGS)
    n, m, give = s.number(30, 90), s.number(2, 20), s.number(1, 5)
    s.tell(f"{a} has {n} {x} and {b} has {m}. {a} gives {give} of them to {b}.",
           f"{a} with {n} {x} gives {give} to {b}, who had {m}.")
    s.tell(f"How many more {x} than {b} does {a} have then?",
           f"By how many {x} is {a} still ahead of {b}?")
    p = s.work(n, "-", give, f"{a} has {{}} {x} left.", f"{a} keeps {{}} {x}.")
    q = s.work(m, "+", give, f"{b} has {{}} {x}.", f"{b} now has {{}} {x}.")
    s.work(p, "-", q, f"The difference is {{}} {x}.", f"{a} has {{}} more.")


def class_split(s):
    k, part = s.pick(2, 3, 4, 5), s.number(3, 12)
    total = k * part
    sports = s.number(1, part)
    fraction = {2: "Half", 3: "A third", 4: "A quarter", 5: "A fifth"}[k]
    s.tell(f"There are {total} children in a class. {fraction} of them are girls.",
           f"{fraction} of the {total} children of a class are girls.")
    s.tell(f"{sports} of the girls play football. How many girls do not?",
           f"How many girls do not play football, if {sports} of them do?")
    g = s.work(total, "/", k, "There are {} girls.", "The class has {} girls.")
    s.work(g, "-", sports, "So {} girls do not play.", "Without the players it is {} girls.")


def percent_of(s):
    who, x = s.draw.person(), s.draw.choice(THINGS)
    n, percent, more = s.number(20, 200, 20), s.pick(10, 20, 25, 50), s.number(2, 40)
    s.tell(f"{who} has {n} {x}. {percent}% of them are red, and {more} more red ones are found.",
           f"Of the {n} {x} of {who}, {percent}% are red. Then {who} finds {more} more red ones.")
    s.tell(f"How many red {x} does {who} have now?", "How many red ones are there then?")
    r = s.percent(percent, n, f"{percent}% of {n} is {{}}.", "At first {} are red.")
    s.work(r, "+", more, f"Now there are {{}} red {x}.", "With the new ones it is {}.")


def average(s):
    who, what = s.draw.person(), s.draw.choice(["tests", "games", "races", "rounds"])
    a, b, mean = s.number(5, 30), s.number(5, 30), s.number(10, 30)
    c = 3 * mean - a - b
    while c < 1:
        c += 15
    s.tell(f"In three {what} {who} scores {a}, {b} and {c} points.",
           f"{who} gets {a} points, then {b}, then {c} in three {what}.")
    s.tell("What is the average?", "How many points is that on average?")
    p = s.work(a, "+", b, "The first two make {} points.", "Two of them give {} points.")
    q = s.work(p, "+", c, "All three make {} points.", "In all it is {} points.")
    s.work(q, "/", 3, "The average is {} points.", "On average that is {} points.")


TEMPLATES = (half_as_many, three_people, fewer, sharing, ages, trade, class_split, percent_of,
             average)
