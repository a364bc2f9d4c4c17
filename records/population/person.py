"""Who a synthetic person is, before anything is written about them."""

import datetime
import math
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from . import names
from .illnesses import ILLNESSES, Illness
from .nir import nir
from .places import BIRTHPLACES, HOMES, Place

# Residents of France by age band of five years, in tenths of a percent. (insee.fr, pyramid of 2024, rounded)
PYRAMID = (51, 57, 61, 62, 59, 55, 58, 62, 63, 59, 66, 64, 63, 59, 57, 50, 28, 19, 7)
# Order of birth and place of birth are one permuted counter, so that no two people of a population share a number.
ORDERS = 999
STEP = 61_291  # prime, shares no factor with ORDERS * len(BIRTHPLACES)


@dataclass(frozen=True, slots=True)
class Person:
    index: int
    sex: str
    birth: datetime.date
    age: int
    family: str  # at birth
    usual: str  # in daily use
    given: tuple
    born: Place
    home: Place
    nir: str
    height: int  # cm, grown up
    leanness: float  # body mass index around which the weight moves
    illnesses: tuple[Illness, ...]

    @property
    def adult(self):
        return self.age >= 18

    def has(self, key):
        return any(illness.key == key for illness in self.illnesses)

    def height_at(self, age):
        """Height in cm at an age in years: fast at first, then a straight line, then grown up. (WHO growth curves)"""
        if age >= 17:
            return self.height
        early = 50 + 25 * math.sqrt(min(age, 2) / 2) * 1.45
        late = early if age < 2 else early + (self.height - early) * (age - 2) / 15
        return round(min(late, self.height))

    def weight_at(self, age):
        """Weight in kg at an age, one decimal."""
        lean = self.leanness if age >= 17 else 16.2 + (self.leanness - 16.2) * max(0.0, age - 6) / 11
        return decimal(lean * (self.height_at(age) / 100) ** 2, 1)


def decimal(number, places):
    """A decimal with exactly so many places, as an instrument shows it."""
    return Decimal(f"{number:.{places}f}") if places else round(number)


def draw(index, random: Random, seed, today):
    """The person number `index` of the population."""
    age = random.choices(range(len(PYRAMID)), PYRAMID)[0] * 5 + random.randrange(5)
    sex = "female" if random.random() < (0.51 if age < 70 else 0.58) else "male"
    birth = today - datetime.timedelta(days=int(age * 365.25) + random.randrange(20, 340))
    age = (today - birth).days * 100 // 36525
    turn = (index * STEP + seed * 7919) % (ORDERS * len(BIRTHPLACES))
    born, order = BIRTHPLACES[turn % len(BIRTHPLACES)], turn // len(BIRTHPLACES) + 1
    family = random.choice(names.FAMILY)
    usual = random.choice(names.FAMILY) if sex == "female" and age > 25 and random.random() < 0.5 else family
    pool = names.given(sex, birth.year)
    return Person(
        index=index,
        sex=sex,
        birth=birth,
        age=age,
        family=family,
        usual=usual,
        given=tuple(random.sample(pool, random.choice((1, 2, 3, 3)))),
        born=born,
        home=born if not born.abroad and random.random() < 0.5 else random.choice(HOMES),
        nir=nir(sex, birth, born.cog, order),
        height=round(random.gauss(164 if sex == "female" else 177, 6.5)),
        leanness=min(38.0, max(18.5, random.gauss(24.5 + min(age, 60) * 0.03, 3.4))),
        illnesses=tuple(illness for illness in ILLNESSES if random.random() < illness.share(age, sex)),
    )
