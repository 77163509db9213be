"""Questions about simple facts and everyday sense, with choices.

A relation is a table of (subject, answer) and several ways to ask. A test item is one way to ask
for one fact; the other ways to ask for it stay in the training text, so that what is tested was
told, but in other words. Comparisons are held out by their pair.
"""

import dataclasses
import re


@dataclasses.dataclass
class Question:
    key: tuple
    context: str
    choices: list  # texts, the wrong ones too
    answer: int    # index of the right one


def table(text):
    """"a: b, c: d" as a dictionary."""
    return dict(tuple(part.strip() for part in entry.split(":")) for entry in text.split(","))


# table, ways to ask (with {}), statements (with {} twice: subject, answer)
RELATIONS = {
    "capital": (table(
        "France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, Portugal: Lisbon, Greece: "
        "Athens,"
        "Poland: Warsaw, Austria: Vienna, Hungary: Budapest, Norway: Oslo, Sweden: Stockholm,"
        "Finland: Helsinki, Denmark: Copenhagen, Ireland: Dublin, Russia: Moscow, Japan: Tokyo,"
        "China: Beijing, India: New Delhi, Egypt: Cairo, Kenya: Nairobi, Canada: Ottawa, Peru: "
        "Lima,"
        "Cuba: Havana, Chile: Santiago, Iran: Tehran, Iraq: Baghdad, Turkey: Ankara, Belgium: "
        "Brussels,"
        "Thailand: Bangkok, Vietnam: Hanoi, Australia: Canberra, Argentina: Buenos Aires, Nepal: "
        "Kathmandu"),
        ("What is the capital of {}?", "Which city is the capital of {}?", "{} has which capital?",
         "Name the capital of {}.", "The government of {} sits in which city?"),
        ("The capital of {} is {}.", "The capital city of {} is {}.")),
    "young": (table(
        "dog: puppy, cat: kitten, cow: calf, horse: foal, sheep: lamb, goat: kid, pig: piglet, "
        "hen: chick,"
        "duck: duckling, goose: gosling, bear: cub, deer: fawn, frog: tadpole, kangaroo: joey,"
        "swan: cygnet, owl: owlet, butterfly: caterpillar"),
        ("What is a young {} called?", "What do we call the baby of a {}?",
         "A young {} is called what?",
         "Which word names a baby {}?"),
        ("A young {} is called a {}.", "The baby of a {} is a {}.")),
    "sound": (table(
        "dog: bark, cat: meow, cow: moo, sheep: bleat, pig: oink, horse: neigh, duck: quack, lion: "
        "roar,"
        "bee: buzz, snake: hiss, wolf: howl, frog: croak, rooster: crow, mouse: squeak, owl: hoot,"
        "dove: coo, turkey: gobble, donkey: bray"),
        ("Which sound does a {} make?", "What does a {} do to be heard?", "How does a {} sound?",
         "The noise of a {} is called what?"),
        ("The sound that a {} makes is a {}.", "A {} makes a sound that we call a {}.")),
    "home": (table(
        "bee: hive, bird: nest, spider: web, bear: cave, rabbit: burrow, horse: stable, dog: "
        "kennel,"
        "pig: sty, hen: coop, fish: water, beaver: lodge, fox: den, cow: barn, ant: anthill, king: "
        "palace,"
        "monk: monastery, soldier: barracks, camel: desert, penguin: ice, monkey: jungle"),
        ("Where does a {} live?", "What is the home of a {}?", "In which place do you find a {}?",
         "A {} sleeps where?"),
        ("The home of a {} is the {}.", "The place where a {} lives is the {}.")),
    "opposite": (table(
        "hot: cold, big: small, fast: slow, high: low, long: short, day: night, up: down, left: "
        "right,"
        "open: closed, full: empty, hard: soft, wet: dry, light: dark, early: late, old: young, "
        "rich: poor,"
        "happy: sad, strong: weak, clean: dirty, near: far, loud: quiet, thick: thin, wide: narrow,"
        "begin: end, buy: sell, win: lose, push: pull, love: hate, remember: forget, first: last,"
        "inside: outside, true: false, easy: difficult, cheap: expensive, alive: dead, sharp: "
        "blunt,"
        "deep: shallow, heavy: light, sweet: bitter, friend: enemy, question: answer, summer: "
        "winter"),
        ("What is the opposite of {}?", "Which word means the opposite of {}?",
         "{} is the opposite of what?",
         "If it is not {}, it is what?"),
        ("The opposite of {} is {}.", "{} and {} are opposites.")),
    "tool": (table(
        "cut paper: scissors, hit a nail: hammer, write a letter: pen, see far away: telescope,"
        "tell the time: clock, sweep the floor: broom, dig a hole: shovel, cut wood: saw, eat "
        "soup: spoon,"
        "open a lock: key, dry your hands: towel, brush your teeth: toothbrush, measure length: "
        "ruler,"
        "sew a button: needle, boil water: kettle, take a picture: camera, cut bread: knife, "
        "sleep: bed,"
        "stay dry in the rain: umbrella, wash your hair: shampoo, climb to a roof: ladder, weigh "
        "flour: scale,"
        "see in the dark: lamp, keep food cold: refrigerator, bake a cake: oven, call a friend: "
        "telephone,"
        "measure heat: thermometer, find north: compass, paint a wall: brush, rub out a line: "
        "eraser,"
        "carry books: backpack, tighten a screw: screwdriver, look at tiny things: microscope, row "
        "a boat: oar"),
        ("What do you need to {}?", "Which thing helps you to {}?",
         "You want to {}. What do you use?",
         "What is used to {}?", "To {}, a person takes what?"),
        ("To {} you use a {}.", "If you want to {}, take a {}.")),
    "job": (table(
        "bakes bread: baker, flies a plane: pilot, heals the sick: doctor, teaches children: "
        "teacher,"
        "puts out fires: firefighter, grows crops: farmer, cuts hair: barber, repairs pipes: "
        "plumber,"
        "catches fish: fisherman, writes books: author, paints pictures: painter, cooks in a "
        "restaurant: chef,"
        "builds houses: builder, delivers letters: mail carrier, pulls teeth: dentist, takes "
        "photos: photographer,"
        "drives a taxi: driver, sells meat: butcher, treats animals: veterinarian, plays in a "
        "film: actor,"
        "makes shoes: shoemaker, guards the law: judge, studies the stars: astronomer, digs for "
        "coal: miner,"
        "makes clothes: tailor, sells flowers: florist, looks after books: librarian, works with "
        "wood: carpenter"),
        ("Who {}?", "Which person {}?", "What do we call somebody who {}?",
         "A person who {} is what?"),
        ("Somebody who {} is a {}.", "A person who {} is called a {}.")),
    "color": (table(
        "the sky on a clear day: blue, grass: green, snow: white, a ripe banana: yellow, blood: "
        "red, coal: black,"
        "a carrot: orange, an elephant: gray, chocolate: brown, a flamingo: pink, an eggplant: "
        "purple,"
        "a ripe tomato: red, a lemon: yellow, milk: white, a crow: black, a frog: green, the sea: "
        "blue,"
        "a stop sign: red, gold: yellow, a pumpkin: orange, a polar bear: white, rust: brown, "
        "spinach: green"),
        ("What color is {}?", "Which color has {}?", "The color of {} is what?",
         "If you look at {}, which color do you see?"),
        ("The color of {} is {}.", "The color that {} has is {}.")),
    "kind": (table(
        "apple: fruit, carrot: vegetable, hammer: tool, piano: instrument, sparrow: bird, salmon: "
        "fish,"
        "oak: tree, rose: flower, ant: insect, cobra: snake, chair: furniture, shirt: clothing, "
        "gold: metal,"
        "football: sport, poodle: dog, car: vehicle, red: color, triangle: shape, Monday: weekday,"
        "July: month, winter: season, Mars: planet, English: language, Europe: continent, milk: "
        "drink,"
        "doctor: job, ruby: gem, seven: number, mother: relative, happiness: feeling, violin: "
        "instrument,"
        "banana: fruit, onion: vegetable, eagle: bird, shark: fish, pine: tree, tulip: flower, "
        "bee: insect,"
        "table: furniture, coat: clothing, iron: metal, tennis: sport, truck: vehicle, circle: "
        "shape"),
        ("What kind of thing is this: {}?", "Which group holds {}?", "To which kind belongs {}?",
         "{} is an example of what?"),
        ("The word {} names a kind of {}.", "The group of {} is {}.")),
    "units": (table(
        "minutes in an hour: 60, seconds in a minute: 60, hours in a day: 24, days in a week: 7,"
        "months in a year: 12, days in a leap year: 366, cents in a dollar: 100, inches in a foot: "
        "12,"
        "feet in a yard: 3, centimeters in a meter: 100, meters in a kilometer: 1000, eggs in a "
        "dozen: 12,"
        "legs on a spider: 8, legs on an insect: 6, legs on a dog: 4, wings on a bird: 2, sides on "
        "a triangle: 3,"
        "sides on a square: 4, sides on a hexagon: 6, corners on a cube: 8, wheels on a bicycle: 2,"
        "wheels on a tricycle: 3, wheels on a car: 4, strings on a violin: 4, fingers on a hand: 5,"
        "letters in the alphabet: 26, days in April: 30, days in July: 31, players in a football "
        "team: 11,"
        "planets around the sun: 8, arms on an octopus: 8, years in a century: 100, years in a "
        "decade: 10"),
        ("How many {} are there?", "What is the number of {}?", "Count the {}: how many?",
         "How many {} do you count?"),
        ("The number of {} is {}.", "Asked for the number of {}, we say {}.")),
    "past": (table(
        "go: went, see: saw, eat: ate, run: ran, take: took, give: gave, come: came, write: wrote, "
        "sing: sang,"
        "swim: swam, drink: drank, buy: bought, think: thought, bring: brought, find: found, know: "
        "knew,"
        "speak: spoke, break: broke, fly: flew, fall: fell, sleep: slept, teach: taught, build: "
        "built, keep: kept,"
        "lose: lost, meet: met, pay: paid, say: said, sell: sold, send: sent, sit: sat, stand: "
        "stood, tell: told,"
        "win: won, draw: drew, drive: drove, hold: held, grow: grew, throw: threw, wear: wore, "
        "begin: began"),
        ("What is the past tense of {}?", "Today I {}. What did I do yesterday?",
         "Which form of {} tells of yesterday?",
         "The past of {} is what?"),
        ("The past tense of {} is {}.", "Of the verb {} the past form is {}.")),
    "plural": (table(
        "mouse: mice, foot: feet, tooth: teeth, child: children, man: men, woman: women, goose: "
        "geese, ox: oxen,"
        "leaf: leaves, knife: knives, wolf: wolves, city: cities, baby: babies, box: boxes, bus: "
        "buses,"
        "dish: dishes, potato: potatoes, life: lives, person: people, half: halves, story: "
        "stories, loaf: loaves,"
        "shelf: shelves, fly: flies, party: parties, church: churches, fox: foxes, hero: heroes, "
        "cherry: cherries"),
        ("What is the plural of {}?", "One {}, two what?",
         "Which word stands for more than one {}?", "The plural form of {} is what?"),
        ("The plural of {} is {}.", "More than one {} are {}.")),
    "material": (table(
        "window: glass, book: paper, tire: rubber, sweater: wool, candle: wax, brick: clay, shoe: "
        "leather,"
        "plank: wood, statue: stone, towel: cotton, bread: flour, cheese: milk, wine: grapes,"
        "omelet: eggs, raisin: grapes, igloo: snow, butter: cream, chocolate: cocoa, pencil: wood, "
        "bottle: glass,"
        "bag: plastic, wire: copper, can: tin, ketchup: tomatoes, tofu: soybeans, rope: fiber"),
        ("What is a {} made of?", "Which material makes a {}?", "A {} is made from what?",
         "To make a {} you need what?"),
        ("The {} is made of {}.", "What a {} is made of is {}.")),
    "next": (table(
        "Monday: Tuesday, Tuesday: Wednesday, Wednesday: Thursday, Thursday: Friday, Friday: "
        "Saturday,"
        "Saturday: Sunday, Sunday: Monday, January: February, February: March, March: April, "
        "April: May,"
        "May: June, June: July, July: August, August: September, September: October, October: "
        "November,"
        "November: December, December: January, spring: summer, summer: autumn, autumn: winter,"
        "breakfast: lunch, morning: noon, A: B, M: N, X: Y, first: second, third: fourth, nine: "
        "ten"),
        ("What comes after {}?", "Which one follows {}?", "{} is followed by what?",
         "After {} we have what?"),
        ("After {} comes {}.", "What follows {} is {}.")),
    "place": (table(
        "borrow a book: library, see old paintings: museum, buy medicine: pharmacy, catch a train: "
        "station,"
        "board a plane: airport, see a doctor: hospital, watch a film: cinema,"
        "buy bread: bakery, keep money: bank, swim: pool, see wild animals: zoo, send a parcel: "
        "post office,"
        "eat out: restaurant, play on a swing: playground, pray: temple, buy vegetables: market, "
        "cook: kitchen,"
        "park the car: garage, grow flowers: garden, sleep on a trip: hotel, see a play: theater, "
        "fill the tank: gas station,"
        "take a shower: bathroom, lift weights: gym, look at stars: observatory, ride a roller "
        "coaster: amusement park"),
        ("Where do you go to {}?", "Which place is good to {}?", "To {}, people go where?",
         "You want to {}. Where are you going?"),
        ("To {} you go to the {}.", "The place to {} is the {}.")),
    "why": (table(
        "I am hungry: eat something, I am thirsty: drink water, I am tired: go to sleep, I am "
        "cold: put on a coat,"
        "my hands are dirty: wash them, it is raining: take an umbrella, the room is dark: turn on "
        "the light,"
        "the window is open and it is cold: close it, my shoe is untied: tie the lace, the plants "
        "are dry: water them,"
        "the pencil is blunt: sharpen it, the battery is empty: charge it, the trash can is full: "
        "empty it,"
        "the soup is too hot: wait a little, the baby is crying: comfort it, I cut my finger: use "
        "a bandage,"
        "the bus has left: wait for the next one, I have lost my key: look for it, the dog wants "
        "out: open the door,"
        "the dishes are dirty: wash the dishes, the tire is flat: pump it up, my hair is too long: "
        "get a haircut,"
        "the milk is sour: pour it away, the phone is ringing: answer it, I have a toothache: see "
        "the dentist,"
        "the house is burning: call the firefighters, the cup is broken: sweep up the pieces, I am "
        "ill: stay in bed"),
        ("If {}, what is the best thing to do?", "What should I do when {}?",
         "Suppose that {}. What now?", "What helps when {}?"),
        ("When {}, the best thing is to {}.", "If {}, then {}.")),
}

# quantity, ways to compare, things in growing order
ORDERS = {
    "size": (("Which is bigger, {a} or {b}?", "bigger"),
             ("Which is smaller, {a} or {b}?", "smaller"),
             "a grain of sand, an ant, a bee, a mouse, an apple, a cat, a dog, a sheep, a man, a "
             "cow, a car,"
             "an elephant, a bus, a house, a whale, a church, a mountain, the moon, the earth, the "
             "sun"),
    "speed": (("Which is faster, {a} or {b}?", "faster"),
              ("Which is slower, {a} or {b}?", "slower"),
              "a snail, a turtle, a walking man, a running boy, a bicycle, a horse, a car, a "
              "train, a plane, a rocket, light"),
    "heat": (("Which is hotter, {a} or {b}?", "hotter"), ("Which is colder, {a} or {b}?", "colder"),
             "ice, cold water, a spring day, warm milk, boiling water, a candle flame, melted "
             "iron, the sun"),
    "time": (("Which takes longer, {a} or {b}?", "longer"),
             ("Which is shorter, {a} or {b}?", "shorter"),
             "a blink, a second, a minute, a lunch break, an hour, a day, a week, a month, a "
             "season, a year, a decade, a century"),
    "weight": (("Which is heavier, {a} or {b}?", "heavier"),
               ("Which is lighter, {a} or {b}?", "lighter"),
               "a feather, a coin, a pencil, an egg, a book, a brick, a chair, a bicycle, a piano, "
               "a truck, a ship"),
    "age": (("Who is older, {a} or {b}?", "older"), ("Who is younger, {a} or {b}?", "younger"),
            "a newborn, a toddler, a schoolchild, a teenager, a young adult, a parent, a "
            "grandparent"),
    "price": (("What costs more, {a} or {b}?", "more"), ("What costs less, {a} or {b}?", "less"),
              "a matchstick, an apple, a sandwich, a book, a pair of shoes, a phone, a used car, a "
              "house, a castle"),
}



def sentence(text):
    """With a capital, and with the articles that the inserted words need."""
    text = re.sub(r"\b([Aa]) (?=[aeio]|u[mn])", r"\1n ", text)
    return text[0].upper() + text[1:]


FRAMES = ("Question: {}\nAnswer:", "Q: {}\nA:", "{}\nAnswer:")
LETTERS = "ABCD"


def relation_question(draw):
    name = draw.choice(list(RELATIONS))
    facts, ways, _ = RELATIONS[name]
    subject = draw.choice(list(facts))
    way = draw.choice(ways)
    others = sorted(set(facts.values()) - {facts[subject]})
    choices = draw.sample(others, 3)
    answer = draw.randrange(4)
    choices.insert(answer, facts[subject])
    return Question(("choice", name, subject, way), sentence(way.format(subject)), choices, answer)


def order_question(draw):
    name = draw.choice(list(ORDERS))
    more, less, things = ORDERS[name]
    things = [thing.strip() for thing in things.split(",")]
    i, j = sorted(draw.sample(range(len(things)), 2))
    way = draw.choice((more, less))
    pair = [things[i], things[j]]
    draw.shuffle(pair)
    right = things[j] if way is more else things[i]
    text = way[0].format(a=pair[0], b=pair[1])
    return Question(("choice", name, things[i], things[j]), text, pair, pair.index(right))


def draw_question(draw):
    return draw.choice((relation_question, relation_question, order_question))(draw)


def draw_statement(draw):
    """A fact as a sentence."""
    facts, _, statements = RELATIONS[draw.choice(list(RELATIONS))]
    subject = draw.choice(list(facts))
    return sentence(draw.choice(statements).format(subject, facts[subject]))


def frame(draw, question):
    """The question as a prompt, and its answer as what follows."""
    if draw.random() < 0.3:
        lines = [f"{LETTERS[i]}. {choice}" for i, choice in enumerate(question.choices)]
        prompt = "\n".join(["Question: " + question.context, *lines, "Answer:"])
        return prompt, f" {LETTERS[question.answer]}. {question.choices[question.answer]}"
    return draw.choice(FRAMES).format(question.context), " " + question.choices[question.answer]
