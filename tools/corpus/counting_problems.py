"""Word problems of rows, boxes, groups and machines."""

from corpus.story import BAKED, FOODS, PLANTS, plural


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


TEMPLATES = (garden, bakery, buses, library, pizza, legs, factory, stairs, recipe, picking)
