"""The closed, exact facts of the help desk: what may be asked and the one right answer to each.

A kind groups facts whose answers can stand in for one another, so a wrong answer to a question is
always another answer of the same kind. Every kind has a noun phrase that names what is asked
(``the capital of France``); questions and answers are built around that phrase.
"""

from dataclasses import dataclass

CAPITALS = {
    "France": "Paris",
    "Spain": "Madrid",
    "Italy": "Rome",
    "Germany": "Berlin",
    "Austria": "Vienna",
    "Poland": "Warsaw",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Portugal": "Lisbon",
    "Greece": "Athens",
    "Ireland": "Dublin",
    "Russia": "Moscow",
    "Japan": "Tokyo",
    "China": "Beijing",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Cuba": "Havana",
    "Chile": "Santiago",
    "Canada": "Ottawa",
    "Turkey": "Ankara",
    "Iran": "Tehran",
    "Iraq": "Baghdad",
    "Hungary": "Budapest",
    "Denmark": "Copenhagen",
}

OPPOSITES = {
    "hot": "cold",
    "big": "small",
    "fast": "slow",
    "high": "low",
    "early": "late",
    "full": "empty",
    "hard": "soft",
    "wet": "dry",
    "light": "dark",
    "old": "young",
    "rich": "poor",
    "strong": "weak",
    "loud": "quiet",
    "clean": "dirty",
    "near": "far",
    "thick": "thin",
    "deep": "shallow",
    "wide": "narrow",
    "sweet": "sour",
    "sharp": "blunt",
    "rough": "smooth",
    "tight": "loose",
    "buy": "sell",
    "push": "pull",
}

SUMS = (
    (1, 2), (1, 4), (2, 2), (1, 5), (2, 5), (3, 4), (3, 5), (2, 6), (4, 5), (3, 6), (5, 5), (4, 6),
    (5, 6), (4, 7), (6, 6), (5, 7), (6, 7), (5, 8), (7, 7), (6, 8), (7, 8), (6, 9), (8, 8), (9, 9),
)  # fmt: skip

UNITS = {
    "seconds in a minute": 60,
    "hours in a day": 24,
    "days in a week": 7,
    "months in a year": 12,
    "weeks in a year": 52,
    "days in a leap year": 366,
    "cents in a dollar": 100,
    "eggs in a dozen": 12,
    "metres in a kilometre": 1000,
    "legs on a spider": 8,
    "legs on an ant": 6,
    "sides on a square": 4,
    "sides on a triangle": 3,
    "players in a football team": 11,
}

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip

COLOURS = {
    "snow": "white",
    "grass": "green",
    "coal": "black",
    "blood": "red",
    "a banana": "yellow",
    "the sky": "blue",
    "a carrot": "orange",
    "chocolate": "brown",
    "a flamingo": "pink",
    "an elephant": "grey",
    "a plum": "purple",
    "milk": "white",
    "a lemon": "yellow",
    "a tomato": "red",
}

BABIES = {
    "dog": "puppy",
    "cat": "kitten",
    "cow": "calf",
    "sheep": "lamb",
    "horse": "foal",
    "bear": "cub",
    "goat": "kid",
    "duck": "duckling",
    "goose": "gosling",
    "frog": "tadpole",
    "deer": "fawn",
    "pig": "piglet",
    "swan": "cygnet",
    "kangaroo": "joey",
    "eagle": "eaglet",
    "butterfly": "caterpillar",
}

PASTS = {
    "go": "went",
    "eat": "ate",
    "run": "ran",
    "take": "took",
    "give": "gave",
    "find": "found",
    "write": "wrote",
    "sing": "sang",
    "swim": "swam",
    "drink": "drank",
    "break": "broke",
    "teach": "taught",
    "bring": "brought",
    "fly": "flew",
    "grow": "grew",
    "steal": "stole",
}

COMMON_QUESTIONS = (
    "What is {np}?",
    "Tell me {np}.",
    "Do you know {np}?",
    "I need to know {np}.",
)

OWN_QUESTIONS = {
    "capital": ("Which city is {np}?", "Name {np}."),
    "opposite": ("Which word is {np}?", "Give me {np}."),
    "sum": ("How much is {np}?", "Work out {np}."),
    "unit": ("How many {s} are there?", "Give me {np}."),
    "day": ("Which day is {np}?", "Name {np}."),
    "month": ("Which month is {np}?", "Name {np}."),
    "colour": ("What colour is {s}?", "Name {np}."),
    "baby": ("What do you call a baby {s}?", "Give me {np}."),
    "past": ("Which word is {np}?", "Give me {np}."),
}

SURE_FACT_ANSWERS = ("It is {a}.", "The answer is {a}.", "That is {a}.", "{Np} is {a}.")
UNSURE_FACT_ANSWERS = ("I think it is {a}.", "My guess is {a}.")


@dataclass(frozen=True)
class Fact:
    """One closed fact: its kind, subject, noun phrase and the one right answer."""

    kind: str
    subject: str
    phrase: str
    answer: str

    def questions(self) -> tuple[str, ...]:
        """Return every phrasing of the question (six of them)."""
        forms = COMMON_QUESTIONS + OWN_QUESTIONS[self.kind]
        return tuple(form.format(np=self.phrase, s=self.subject) for form in forms)


def _successors(kind: str, names: tuple[str, ...]) -> list[Fact]:
    following = names[1:] + names[:1]
    return [
        Fact(kind, a, f"the {kind} after {a}", b) for a, b in zip(names, following, strict=True)
    ]


def _facts() -> tuple[Fact, ...]:
    facts = [Fact("capital", s, f"the capital of {s}", a) for s, a in CAPITALS.items()]
    facts += [Fact("opposite", s, f"the opposite of {s}", a) for s, a in OPPOSITES.items()]
    facts += [Fact("sum", f"{a} plus {b}", f"{a} plus {b}", str(a + b)) for a, b in SUMS]
    facts += [Fact("unit", s, f"the number of {s}", str(a)) for s, a in UNITS.items()]
    facts += _successors("day", DAYS) + _successors("month", MONTHS)
    facts += [Fact("colour", s, f"the colour of {s}", a) for s, a in COLOURS.items()]
    facts += [Fact("baby", s, f"the name of a baby {s}", a) for s, a in BABIES.items()]
    facts += [Fact("past", s, f"the past tense of {s}", a) for s, a in PASTS.items()]
    return tuple(facts)


FACTS = _facts()

EXTRA_ANSWERS = {
    "sum": tuple(str(number) for number in range(2, 23)),
    "unit": ("2", "5", "9", "10", "13", "15", "20", "30", "40", "50", "70", "90", "200", "500"),
}


def _answers(kind: str) -> tuple[str, ...]:
    given = [fact.answer for fact in FACTS if fact.kind == kind]
    return tuple(sorted({*given, *EXTRA_ANSWERS.get(kind, ())}))


KINDS = tuple(OWN_QUESTIONS)
ANSWERS_OF_KIND = {kind: _answers(kind) for kind in KINDS}
NUMBER_KINDS = frozenset({"sum", "unit"})
