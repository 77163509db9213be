"""Grade-school word problems with worked steps and a final line "#### N".

A template draws its numbers, tells a story, and works it out step by step; each step holds one
equation "a + b = c" of whole numbers. The equations and the template's name are the key of a
problem: names and wording are not, so that no test problem is a training problem in other clothes.

Numbers are small: tables up to twelve, sums and differences of a few hundred. A solution is worded
as its question is, so that nothing in it is left to chance: a reader who knows the template and can
reckon knows every token.
"""

import dataclasses
import operator

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@dataclasses.dataclass
class Problem:
    key: tuple
    question: str
    steps: list
    answer: int

    def solution(self):
        return "\n".join([*self.steps, f"#### {self.answer}"])


class Story:
    """A problem while it is being told."""

    def __init__(self, draw):
        self.draw = draw
        self.sentences = []
        self.steps = []
        self.equations = []
        self.result = None
        self.wording = 0  # of the sentence that was told last

    def number(self, low, high, multiple=1):
        return self.draw.number(low, high, multiple)

    def pick(self, *values):
        return self.draw.choice(values)

    def tell(self, *variants):
        self.wording = self.draw.randrange(len(variants))
        self.sentences.append(variants[self.wording])

    def work(self, a, op, b, *variants):
        """Adds a step. A variant says what is computed, with {} where the equation stands; which of
        them is taken follows from the sentence that was told last."""
        if op == "/":
            assert b and a % b == 0, (a, b)
            self.result = a // b
        else:
            self.result = OPERATIONS[op](a, b)
        self.add_step(f"{a} {op} {b} = {self.result}", variants)
        return self.result

    def percent(self, percent, n, *variants):
        """Adds a step that computes a part of n, which must be a whole number."""
        assert percent * n % 100 == 0, (percent, n)
        self.result = percent * n // 100
        self.add_step(f"{percent} * {n} / 100 = {self.result}", variants)
        return self.result

    def add_step(self, equation, variants):
        self.equations.append(equation)
        self.steps.append(variants[self.wording % len(variants)].format(equation))


def plural(count, noun):
    return f"{count} {noun}" if count != 1 else f"{count} {singular(noun)}"


def singular(noun):
    for ending, replacement in (("ches", "ch"), ("shes", "sh"), ("ies", "y"), ("xes", "x")):
        if noun.endswith(ending) and noun not in ("cookies", "brownies", "pies", "ties"):
            return noun[: -len(ending)] + replacement
    return noun[:-1]


THINGS = [t.replace("toycars", "toy cars").replace("_", " ") for t in
          ("marbles stickers cards shells stamps coins beads buttons badges postcards puzzles "
           "crayons pencils toycars balloons toy_bricks comic_books paper_stars").split()]
FOODS = "apples pears oranges plums peaches lemons mangoes bananas melons figs limes kiwis".split()
SHOP = ("pens notebooks folders rulers erasers markers brushes candles mugs plates bowls spoons "
        "towels socks caps scarves belts lamps chairs baskets ropes boxes").split()
BAKED = "cookies muffins cupcakes brownies rolls bagels pies tarts scones pretzels".split()
PLANTS = "tomato pepper bean carrot onion lettuce pumpkin cabbage radish potato".split()


# --- buying and selling ---------------------------------------------------------------------------


def shop_total(s):
    who, (x, y) = s.draw.person(), s.draw.sample(SHOP + FOODS, 2)
    n, p, m, q = s.number(2, 12), s.number(2, 12), s.number(2, 12), s.number(2, 12)
    s.tell(f"{who} buys {n} {x} for ${p} each and {m} {y} for ${q} each.",
           f"At the market, {who} pays ${p} for each of {n} {x} and ${q} for each of {m} {y}.",
           f"One of the {x} costs ${p} and one of the {y} costs ${q}. {who} buys {n} {x} and {m} "
           f"{y}.")
    s.tell("How many dollars does it cost in all?", f"How much does {who} spend altogether?",
           "What is the total in dollars?")
    a = s.work(n, "*", p, f"The {x} cost {{}} dollars.", f"{who} pays {{}} dollars for the {x}.")
    b = s.work(m, "*", q, f"The {y} cost {{}} dollars.", f"{who} pays {{}} dollars for the {y}.")
    s.work(a, "+", b, "In all that is {} dollars.", "Together it costs {} dollars.")


def shop_change(s):
    who, x = s.draw.person(), s.draw.choice(SHOP)
    n, p, fee = s.number(2, 9), s.number(2, 9), s.number(1, 9)
    bill = s.pick(100, 120, 150, 200)
    s.tell(f"{who} orders {n} {x} at ${p} each. Shipping is ${fee} more.",
           f"A shop sells {x} for ${p} each and asks ${fee} for delivery. {who} orders {n} {x}.")
    s.tell(f"{who} has ${bill}. How many dollars are left after paying?",
           f"How much of the ${bill} that {who} has will be left?")
    a = s.work(n, "*", p, f"The {x} cost {{}} dollars.", "Without shipping it is {} dollars.")
    b = s.work(a, "+", fee, "With the delivery it is {} dollars.", "The whole order is {} dollars.")
    s.work(bill, "-", b, f"{who} has {{}} dollars left.", "What is left is {} dollars.")


def discount(s):
    x, who = s.draw.choice(["coat", "bag", "bike", "lamp", "radio", "tent", "watch",
                            "desk"]), s.draw.person()
    price, percent, n = s.number(20, 200, 20), s.pick(10, 20, 25, 50), s.number(2, 3)
    s.tell(f"A {x} costs ${price}, but today it is {percent}% cheaper.",
           f"The price of a {x} is ${price}. In the sale it is {percent}% off.")
    s.tell(f"How many dollars do {n} of them cost today?",
           f"{who} buys {n} of them in the sale. How much is that?")
    off = s.percent(percent, price, f"{percent}% of {price} is {{}} dollars.",
                 f"The discount of {percent}% is {{}} dollars.")
    new = s.work(price, "-", off, f"So a {x} costs {{}} dollars.", "The new price is {} dollars.")
    s.work(new, "*", n, f"{n} of them cost {{}} dollars.", "Altogether it is {} dollars.")


def profit(s):
    who, x = s.draw.person(), s.draw.choice(BAKED + FOODS)
    n, p, more = s.number(3, 20), s.number(1, 6), s.number(1, 4)
    s.tell(f"{who} buys {n} {x} for ${p} each and sells each for ${more} more than that.",
           f"{who} pays ${p} for each of {n} {x}. Every one is sold again for ${more} more.")
    s.tell(f"How many dollars does {who} get for all the {x}?",
           f"How much money do all {n} {x} bring in?")
    q = s.work(p, "+", more, "One is sold for {} dollars.", "The selling price is {} dollars.")
    s.work(n, "*", q, f"The {n} {x} bring {{}} dollars.", "In all that is {} dollars.")


def tickets(s):
    place = s.draw.choice(["zoo", "museum", "circus", "theater", "fair", "aquarium", "concert"])
    a, p, c, q = s.number(2, 9), s.number(6, 12), s.number(2, 12), s.number(2, 9)
    off = s.number(1, 9)
    s.tell(f"A ticket for the {place} costs ${p} for an adult and ${q} for a child.",
           f"The {place} asks ${p} of every adult and ${q} of every child.")
    s.tell(f"A group of {a} adults and {c} children has a coupon for ${off} off the total. How "
           f"much do they pay?",
           f"How many dollars do {a} adults and {c} children pay when ${off} is taken off the "
           f"total?")
    x = s.work(a, "*", p, "The adults pay {} dollars.", "For the adults it is {} dollars.")
    y = s.work(c, "*", q, "The children pay {} dollars.", "For the children it is {} dollars.")
    z = s.work(x, "+", y, "Without the coupon it is {} dollars.", "Together that is {} dollars.")
    s.work(z, "-", off, "With the coupon they pay {} dollars.",
           "After the coupon it is {} dollars.")


def goal(s):
    who, x = s.draw.person(), s.draw.choice(["bicycle", "guitar", "camera", "phone", "skateboard",
                                             "telescope"])
    have, week, weeks = s.number(5, 60, 5), s.number(3, 12), s.number(2, 9)
    short = s.number(5, 90, 5)
    cost = have + week * weeks + short
    s.tell(f"{who} wants a {x} for ${cost}, has ${have} already and saves ${week} every week.",
           f"A {x} costs ${cost}. {who} has ${have} and puts ${week} aside each week.")
    s.tell(f"How many dollars are still missing after {weeks} weeks?",
           f"After {weeks} weeks, how much more money does {who} need?")
    a = s.work(week, "*", weeks, f"In {weeks} weeks {who} saves {{}} dollars.",
               "The savings are {} dollars.")
    b = s.work(have, "+", a, f"Then {who} has {{}} dollars.",
               "With what was there it is {} dollars.")
    s.work(cost, "-", b, f"{who} still needs {{}} dollars.", "So {} dollars are missing.")


def wages(s):
    who, job = s.draw.person(), s.draw.choice(["babysitting", "painting fences", "walking dogs",
                                               "washing cars", "picking berries", "tutoring"])
    hours, days, rate, spent = s.number(2, 8), s.number(2, 6), s.pick(5, 10), s.number(5, 40, 5)
    spent = min(spent, hours * days * rate)
    s.tell(f"{who} earns ${rate} an hour by {job} and works {hours} hours a day for {days} days.",
           f"For {days} days {who} works {hours} hours each day, {job} for ${rate} an hour.")
    s.tell(f"Then {who} spends ${spent}. How many dollars are left?",
           f"How much is left after {who} spends ${spent} of it?")
    h = s.work(hours, "*", days, f"{who} works {{}} hours.", "The hours are {}.")
    e = s.work(h, "*", rate, f"{who} earns {{}} dollars.", "That pays {} dollars.")
    s.work(e, "-", spent, "What is left is {} dollars.", f"{who} keeps {{}} dollars.")


def phone_plan(s):
    base, per, extra, months = s.number(10, 40, 5), s.number(1, 5), s.number(2, 9), s.number(2, 3)
    s.tell(f"A phone plan costs ${base} a month and ${per} for each extra hour of calls.",
           f"Each month a plan costs ${base}, and every hour above the limit costs ${per} more.")
    s.tell(f"With {extra} extra hours every month, how many dollars are paid in {months} months?",
           f"{s.draw.person()} uses {extra} extra hours each month. What do {months} months cost?")
    a = s.work(per, "*", extra, "The extra hours cost {} dollars a month.",
               "Each month the extra is {} dollars.")
    b = s.work(base, "+", a, "A month costs {} dollars.", "In one month that is {} dollars.")
    s.work(b, "*", months, f"{months} months cost {{}} dollars.",
           "For all months it is {} dollars.")


def parking(s):
    first, more, hours = s.number(2, 9), s.number(1, 5), s.number(3, 8)
    days = s.number(2, 4)
    s.tell(f"Parking costs ${first} for the first hour and ${more} for each hour after it.",
           f"A garage asks ${first} for one hour and ${more} for every further hour.")
    s.tell(f"{s.draw.person()} parks for {hours} hours on each of {days} days. How many dollars is "
           f"that?",
           f"What does it cost to park {hours} hours a day for {days} days?")
    h = s.work(hours, "-", 1, "After the first there are {} hours.", "The further hours are {}.")
    a = s.work(h, "*", more, "They cost {} dollars.", "For them it is {} dollars.")
    b = s.work(first, "+", a, "A day costs {} dollars.", "One day is {} dollars.")
    s.work(b, "*", days, f"{days} days cost {{}} dollars.", "In all it is {} dollars.")


def coin_jar(s):
    who = s.draw.person()
    n, d, q = s.number(2, 12), s.number(2, 12), s.number(2, 8)
    s.tell(f"{who} has {n} nickels, {d} dimes and {q} quarters in a jar.",
           f"In a jar there are {n} nickels, {d} dimes and {q} quarters.")
    s.tell("How many cents is that?", "What are they worth in cents?")
    a = s.work(n, "*", 5, "The nickels are worth {} cents.")
    b = s.work(d, "*", 10, "The dimes are worth {} cents.")
    c = s.work(q, "*", 25, "The quarters are worth {} cents.")
    e = s.work(a, "+", b, "Nickels and dimes make {} cents.")
    s.work(e, "+", c, "With the quarters it is {} cents.", "In all it is {} cents.")


# --- comparing and sharing ------------------------------------------------------------------------


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


# --- counting in rows, boxes and groups -----------------------------------------------------------


def garden(s):
    x, who = s.draw.choice(PLANTS), s.draw.person()
    rows, per = s.number(2, 10), s.number(2, 12)
    k = s.draw.choice([d for d in (2, 3, 4, 5) if rows * per % d == 0] or [1])
    word = {1: "All", 2: "Half", 3: "A third", 4: "A quarter", 5: "A fifth"}[k]
    s.tell(f"{who} plants {rows} rows of {per} {x} plants. {word} of them are eaten by snails.",
           f"In a garden are {rows} rows with {per} {x} plants each. Snails eat {word.lower()} of "
           f"them.")
    s.tell("How many plants are left?", f"How many {x} plants remain?")
    n = s.work(rows, "*", per, "There are {} plants.", "The rows have {} plants.")
    e = s.work(n, "/", k, "The snails eat {} plants.", "Eaten are {} plants.")
    s.work(n, "-", e, "So {} plants are left.", "What remains are {} plants.")


def bakery(s):
    x = s.draw.choice(BAKED)
    trays, per, box = s.number(3, 12), s.number(4, 12), s.pick(2, 3, 4, 5, 6)
    sold = s.number(1, trays * per - box)
    sold += (trays * per - sold) % box
    s.tell(f"A bakery bakes {trays} trays of {per} {x}. {sold} are sold, and the rest is packed in "
           f"boxes of {box}.",
           f"From {trays} trays with {per} {x} each a bakery sells {sold}. The others go into "
           f"boxes of {box}.")
    s.tell("How many boxes are there?", "How many boxes are needed?")
    n = s.work(trays, "*", per, f"There are {{}} {x}.", f"The bakery bakes {{}} {x}.")
    m = s.work(n, "-", sold, f"Not sold are {{}} {x}.", f"What is left are {{}} {x}.")
    s.work(m, "/", box, "They fill {} boxes.", "That makes {} boxes.")


def buses(s):
    seats, count = s.pick(8, 10, 12, 20, 30), s.number(2, 9)
    teachers = s.number(2, 9)
    students = seats * count - teachers
    s.tell(f"{students} students and {teachers} teachers go on a trip in buses with {seats} seats.",
           f"A school with {students} students and {teachers} teachers rents buses of {seats} "
           f"seats.")
    s.tell("How many buses do they need?", "How many buses are full when everybody has a seat?")
    n = s.work(students, "+", teachers, "There are {} people.", "In all {} people travel.")
    s.work(n, "/", seats, "They need {} buses.", "That fills {} buses.")


def library(s):
    shelves, per, out, back = s.number(3, 12), s.number(5, 12), s.number(5, 30), s.number(2, 20)
    out = min(out, shelves * per)
    s.tell(f"A library has {shelves} shelves with {per} books each. {out} books are borrowed and "
           f"{back} are returned.",
           f"On {shelves} shelves of a library stand {per} books each. People borrow {out} and "
           f"bring {back} others back.")
    s.tell("How many books are there now?", "How many books does the library hold then?")
    n = s.work(shelves, "*", per, "At first there are {} books.", "The shelves hold {} books.")
    m = s.work(n, "-", out, "Then {} books are left.", "After lending there are {} books.")
    s.work(m, "+", back, "At the end there are {} books.", "With the returned ones it is {} books.")


def pizza(s):
    n, slices, people, each = s.number(2, 8), s.pick(6, 8, 10, 12), s.number(2, 9), s.number(1, 4)
    n = max(n, -(-people * each // slices))
    s.tell(f"{plural(n, 'pizzas')} are cut into {slices} slices each. {people} people eat "
           f"{plural(each, 'slices')} each.",
           f"{people} people share {plural(n, 'pizzas')} of {slices} slices, and everybody eats "
           f"{plural(each, 'slices')}.")
    s.tell("How many slices are left?", "How many slices remain?")
    a = s.work(n, "*", slices, "There are {} slices.", "The pizzas have {} slices.")
    b = s.work(people, "*", each, "The people eat {} slices.", "Eaten are {} slices.")
    s.work(a, "-", b, "So {} slices are left.", "What remains are {} slices.")


def legs(s):
    a, la = s.draw.choice([("cows", 4), ("horses", 4), ("sheep", 4), ("goats", 4), ("dogs", 4)])
    b, lb = s.draw.choice([("hens", 2), ("ducks", 2), ("geese", 2), ("spiders", 8), ("ants", 6)])
    n, m = s.number(2, 12), s.number(2, 12)
    s.tell(f"On a farm live {n} {a} and {m} {b}.", f"A farmer counts {n} {a} and {m} {b}.")
    s.tell("How many legs do they have altogether?", "How many legs is that?")
    x = s.work(n, "*", la, f"The {a} have {{}} legs.")
    y = s.work(m, "*", lb, f"The {b} have {{}} legs.")
    s.work(x, "+", y, "Together they have {} legs.", "In all that is {} legs.")


def factory(s):
    x = s.draw.choice(["toys", "lamps", "bottles", "chairs", "clocks", "shoes", "bricks", "cans"])
    machines, rate, hours, bad = s.number(2, 5), s.number(2, 5), s.number(2, 6), s.number(1, 8)
    bad = min(bad, machines * rate * hours)
    s.tell(f"Each of {machines} machines makes {rate} {x} an hour. They run for {hours} hours.",
           f"A factory has {machines} machines, and each makes {rate} {x} in an hour. They work "
           f"{hours} hours.")
    s.tell(f"{bad} of the {x} are broken. How many are good?",
           f"How many good {x} are there if {bad} are broken?")
    a = s.work(machines, "*", rate, f"In an hour they make {{}} {x}.", "An hour gives {}.")
    b = s.work(a, "*", hours, f"In {hours} hours they make {{}} {x}.", "In all the hours it is {}.")
    s.work(b, "-", bad, f"Good are {{}} {x}.", "Without the broken ones it is {}.")


def stairs(s):
    floors, steps, times = s.number(2, 5), s.number(8, 15), s.number(2, 4)
    s.tell(f"There are {steps} steps between two floors. {s.draw.person()} goes up {floors} floors "
           f"{times} times a day.",
           f"Going up one floor takes {steps} steps. Every day {s.draw.person()} climbs {floors} "
           f"floors {times} times.")
    s.tell("How many steps is that in a day?", "How many steps are climbed each day?")
    a = s.work(floors, "*", steps, f"{floors} floors have {{}} steps.", "Once up is {} steps.")
    s.work(a, "*", times, "In a day that is {} steps.", f"{times} times that is {{}} steps.")


def recipe(s):
    x, unit = s.draw.choice(["flour", "sugar", "milk", "rice", "oats",
                             "butter"]), s.draw.choice(["cups", "spoons", "bowls"])
    per, batches = s.number(2, 9), s.number(2, 12)
    have = s.number(1, per * batches - 1)
    who = s.draw.person()
    s.tell(f"One cake needs {per} {unit} of {x}. {who} bakes {batches} cakes and has "
           f"{plural(have, unit)} of {x}.",
           f"{who} has {plural(have, unit)} of {x} and wants to bake {batches} cakes that need "
           f"{per} {unit} each.")
    s.tell(f"How many more {unit} of {x} are needed?", f"How many {unit} are missing?")
    a = s.work(per, "*", batches, f"All cakes need {{}} {unit}.",
               f"The {batches} cakes take {{}} {unit}.")
    s.work(a, "-", have, f"So {{}} {unit} are missing.", f"{who} needs {{}} more {unit}.")


def picking(s):
    who, x = s.draw.person(), s.draw.choice(FOODS)
    baskets, per, eaten, price = s.number(2, 5), s.number(3, 10), s.number(1, 5), s.number(2, 4)
    s.tell(f"{who} picks {baskets} baskets of {per} {x} and eats {eaten} of them.",
           f"After picking {baskets} baskets with {per} {x} each, {who} eats {eaten}.")
    s.tell(f"The rest is sold for ${price} each. How many dollars is that?",
           f"How much does {who} get for the rest at ${price} each?")
    a = s.work(baskets, "*", per, f"{who} picks {{}} {x}.", f"There are {{}} {x}.")
    b = s.work(a, "-", eaten, f"Left are {{}} {x}.", "After eating there are {}.")
    s.work(b, "*", price, "They bring {} dollars.", f"{who} gets {{}} dollars.")


# --- time, ways and measures ----------------------------------------------------------------------


def trip(s):
    who, how = s.draw.person(), s.draw.choice(["drives", "travels", "goes"])
    v, t, w, u = s.number(20, 90, 10), s.number(2, 5), s.number(20, 90, 10), s.number(2, 5)
    s.tell(f"{who} {how} {t} hours at {v} miles an hour and then {u} hours at {w} miles an hour.",
           f"For {t} hours {who} {how} at {v} miles an hour, for {u} more at {w} miles an hour.")
    s.tell("How many miles is that?", "How long is the way in miles?")
    a = s.work(v, "*", t, "The first part is {} miles.", "At first it is {} miles.")
    b = s.work(w, "*", u, "The second part is {} miles.", "Then it is {} miles.")
    s.work(a, "+", b, "The whole way is {} miles.", "Together that is {} miles.")


def pages(s):
    who = s.draw.person()
    a, d, rest_days, per = s.number(5, 15), s.number(2, 6), s.number(2, 9), s.number(4, 12)
    total = a * d + rest_days * per
    s.tell(f"A book has {total} pages. {who} reads {a} pages a day for {d} days, and then {per} "
           f"pages a day.",
           f"{who} reads {a} pages of a book of {total} pages on each of {d} days, and after that "
           f"{per} a day.")
    s.tell("How many more days does it take to finish?",
           f"For how many days must {who} read {per} pages?")
    x = s.work(a, "*", d, f"In {d} days {who} reads {{}} pages.", "At first {} pages are read.")
    y = s.work(total, "-", x, "Then {} pages are left.", "There remain {} pages.")
    s.work(y, "/", per, "That takes {} days.", f"{who} needs {{}} more days.")


def tank(s):
    rate, leak, minutes = s.number(5, 13), s.number(1, 4), s.number(3, 10)
    start = s.number(5, 60, 5)
    s.tell(f"A tank holds {start} liters. Each minute {rate} liters flow in and "
           f"{plural(leak, 'liters')} leak out.",
           f"Into a tank with {start} liters of water flow {rate} liters a minute, while {leak} a "
           f"minute leak out.")
    s.tell(f"How many liters are in it after {minutes} minutes?",
           f"How much water is there after {minutes} minutes, in liters?")
    a = s.work(rate, "-", leak, "Each minute it gains {} liters.", "A minute adds {} liters.")
    b = s.work(a, "*", minutes, f"In {minutes} minutes that is {{}} liters.", "It gains {} liters.")
    s.work(start, "+", b, "Then the tank holds {} liters.", "At the end there are {} liters.")


def rectangle(s):
    a, less, price = s.number(10, 30), s.number(1, 9), s.pick(2, 5, 10)
    what = s.draw.choice(["garden", "field", "yard", "playground", "meadow"])
    s.tell(f"A {what} is {a} meters long and {plural(less, 'meters')} less wide.",
           f"The length of a {what} is {a} meters, and its width is {plural(less, 'meters')} less.")
    s.tell(f"A fence around it costs ${price} a meter. How many dollars is that?",
           f"What does a fence around it cost at ${price} a meter?")
    b = s.work(a, "-", less, "It is {} meters wide.", "The width is {} meters.")
    c = s.work(a, "+", b, "Length and width are {} meters.")
    d = s.work(2, "*", c, "The fence is {} meters long.", "All around it is {} meters.")
    s.work(d, "*", price, "The fence costs {} dollars.", "That is {} dollars.")


def area(s):
    a, b, c, d = s.number(3, 12), s.number(3, 12), s.number(2, 9), s.number(2, 9)
    s.tell(f"One room is {a} by {b} feet, and another is {c} by {d} feet.",
           f"A flat has a room of {a} by {b} feet and one of {c} by {d} feet.")
    s.tell("How many square feet of carpet do both need?",
           "What is their area together, in square feet?")
    x = s.work(a, "*", b, "The first room has {} square feet.")
    y = s.work(c, "*", d, "The second room has {} square feet.")
    s.work(x, "+", y, "Both have {} square feet.", "Together it is {} square feet.")


def laps(s):
    who = s.draw.person()
    n, meters, money = s.number(3, 10), s.pick(100, 200, 300, 400), s.number(2, 5)
    k = s.number(2, 4)
    s.tell(f"{who} runs {n} laps of {meters} meters on each of {k} days and gets ${money} for "
           f"every lap from a sponsor.",
           f"A sponsor pays ${money} for every lap of {meters} meters. {who} runs {n} laps a day "
           f"for {k} days.")
    s.tell("How many dollars are collected?", "How much does the sponsor pay?")
    a = s.work(n, "*", k, f"{who} runs {{}} laps.", "There are {} laps.")
    s.work(a, "*", money, "The sponsor pays {} dollars.", "They bring {} dollars.")


def practice(s):
    who, what = s.draw.person(), s.draw.choice(["piano", "chess", "tennis", "violin", "drawing",
                                                "swimming"])
    a, b, weeks = s.number(10, 60, 10), s.number(10, 90, 10), s.number(2, 3)
    s.tell(f"{who} practices {what} for {a} minutes on each of the 5 weekdays and {b} minutes on "
           f"each of the 2 days of the weekend.",
           f"On 5 weekdays {who} does {a} minutes of {what}, and on the 2 other days {b} minutes "
           f"each.")
    s.tell(f"How many minutes is that in {weeks} weeks?",
           f"How many minutes of {what} are there in {weeks} weeks?")
    x = s.work(5, "*", a, "The weekdays make {} minutes.")
    y = s.work(2, "*", b, "The weekend makes {} minutes.")
    z = s.work(x, "+", y, "A week has {} minutes.", "In a week that is {} minutes.")
    s.work(z, "*", weeks, f"In {weeks} weeks it is {{}} minutes.",
           f"{weeks} weeks give {{}} minutes.")


def hours_left(s):
    a, b, c = s.number(10, 50, 5), s.number(10, 50, 5), s.number(10, 40, 5)
    hours = s.pick(3, 4, 5)
    who = s.draw.person()
    s.tell(f"{who} has {hours} hours. Homework takes {a} minutes, lunch {b} minutes and a walk {c} "
           f"minutes.",
           f"In {hours} hours {who} does homework for {a} minutes, eats for {b} minutes and walks "
           f"for {c} minutes.")
    s.tell("How many minutes are left?", f"How many minutes does {who} have for other things?")
    t = s.work(hours, "*", 60, f"{hours} hours are {{}} minutes.")
    x = s.work(a, "+", b, "Homework and lunch take {} minutes.", "The first two take {} minutes.")
    y = s.work(x, "+", c, "With the walk it is {} minutes.")
    s.work(t, "-", y, "So {} minutes are left.", f"{who} has {{}} minutes left.")


def weeks_and_days(s):
    who, x = s.draw.person(), s.draw.choice(["eggs", "letters", "bottles", "pages", "photos",
                                             "miles"])
    per, weeks, days = s.pick(2, 3, 4, 5, 10), s.number(2, 9), s.number(1, 6)
    s.tell(f"{who} counts {per} {x} every day for {weeks} weeks and {plural(days, 'days')}.",
           f"Every day brings {per} {x}. {who} counts them for {weeks} weeks and "
           f"{plural(days, 'days')}.")
    s.tell(f"How many {x} is that?", f"How many {x} are counted in all?")
    a = s.work(weeks, "*", 7, f"{weeks} weeks are {{}} days.", "The weeks have {} days.")
    b = s.work(a, "+", days, "In all it is {} days.", "With the other days it is {} days.")
    s.work(b, "*", per, f"That makes {{}} {x}.", f"In that time there are {{}} {x}.")


def temperature(s):
    a, up, down = s.number(40, 70), s.number(2, 25), s.number(2, 20)
    more = s.number(1, 9)
    s.tell(f"In the morning it is {a} degrees. It gets {up} degrees warmer until noon and {down} "
           f"degrees colder until evening.",
           f"The day begins with {a} degrees, warms up by {up} degrees and cools down by {down} "
           f"degrees.")
    s.tell(f"In the night it falls by {more} more. How many degrees is it then?",
           f"What is the temperature after it falls by another {more} degrees?")
    x = s.work(a, "+", up, "At noon it is {} degrees.", "It warms up to {} degrees.")
    y = s.work(x, "-", down, "In the evening it is {} degrees.", "It cools down to {} degrees.")
    s.work(y, "-", more, "In the night it is {} degrees.", "At last it is {} degrees.")


# --- stories of two to five events ----------------------------------------------------------------


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


TEMPLATES = (
    shop_total, shop_change, discount, profit, tickets, goal, wages, phone_plan, parking, coin_jar,
    half_as_many, three_people, fewer, sharing, ages, trade, class_split, percent_of, average,
    garden, bakery, buses, library, pizza, legs, factory, stairs, recipe, picking, trip, pages,
    tank,
    rectangle, area, laps, practice, hours_left, weeks_and_days, temperature, passengers, story,
)
WEIGHTS = [1] * (len(TEMPLATES) - 1) + [6]  # the last has as many shapes as several others


def draw_problem(draw):
    (template,) = draw.choices(TEMPLATES, WEIGHTS)
    s = Story(draw)
    template(s)
    key = ("math", template.__name__, *s.equations)
    return Problem(key, " ".join(s.sentences), s.steps, s.result)
