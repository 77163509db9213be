"""Word problems of buying, selling, saving and earning."""

from corpus.story import BAKED, FOODS, SHOP


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


TEMPLATES = (shop_total, shop_change, discount, profit, tickets, goal, wages, phone_plan, parking,
             coin_jar)
