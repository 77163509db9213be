"""Word problems of time, ways and measures."""

from corpus.story import plural


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


TEMPLATES = (trip, pages, tank, rectangle, area, laps, practice, hours_left, weeks_and_days,
             temperature)
