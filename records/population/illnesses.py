"""What people have, take, are allergic to and are vaccinated with: data only. CIP numbers are invented."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from .nir import ean


@dataclass(frozen=True, slots=True)
class Drug:
    atc: str
    substance: str
    label: str
    text: str  # how to take it
    frequency: int
    unit: str = "d"  # of the period of 1
    dose: Decimal | int = 1
    form: str = "comprimé"
    cip: str = ""

    @property
    def cip13(self):
        number = f"340099{self.cip}"
        return number + ean(number)


@dataclass(frozen=True, slots=True)
class Illness:
    key: str
    icd: str
    snomed: str
    name: str
    share: Callable  # (age, sex) -> probability of having it
    drugs: tuple = ()
    acute: int = 0  # days it lasts; 0 is for life
    imaging: str = ""
    specialty: str = ""


# fmt: off
METFORMIN = Drug(
    "A10BA02",
    "metformine",
    "METFORMINE 850 mg, comprimé pelliculé",
    "1 comprimé au petit-déjeuner et au dîner",
    2,
    cip="100001",
)
INSULIN = Drug(
    "A10AE04",
    "insuline glargine",
    "INSULINE GLARGINE 100 unités/mL, solution injectable en stylo",
    "18 unités le soir",
    1,
    dose=18,
    form="unité",
    cip="100002",
)
AMLODIPINE = Drug(
    "C08CA01", "amlodipine", "AMLODIPINE 5 mg, gélule", "1 gélule le matin", 1, form="gélule", cip="100003"
)
RAMIPRIL = Drug("C09AA05", "ramipril", "RAMIPRIL 5 mg, comprimé", "1 comprimé le matin", 1, cip="100004")
ATORVASTATIN = Drug(
    "C10AA05", "atorvastatine", "ATORVASTATINE 20 mg, comprimé pelliculé", "1 comprimé le soir", 1, cip="100005"
)
SALBUTAMOL = Drug(
    "R03AC02",
    "salbutamol",
    "SALBUTAMOL 100 µg/dose, suspension pour inhalation",
    "2 bouffées en cas de gêne respiratoire",
    1,
    dose=2,
    form="bouffée",
    cip="100006",
)
BUDESONIDE = Drug(
    "R03AK07",
    "formotérol et budésonide",
    "BUDÉSONIDE/FORMOTÉROL 200/6 µg, poudre pour inhalation",
    "1 inhalation matin et soir",
    2,
    form="inhalation",
    cip="100007",
)
LEVOTHYROXINE = Drug(
    "H03AA01",
    "lévothyroxine sodique",
    "LÉVOTHYROXINE 75 µg, comprimé sécable",
    "1 comprimé le matin à jeun",
    1,
    cip="100008",
)
PARACETAMOL = Drug(
    "N02BE01", "paracétamol", "PARACÉTAMOL 1 g, comprimé", "1 comprimé si douleur, au plus 3 par jour", 3, cip="100009"
)
SERTRALINE = Drug(
    "N06AB06", "sertraline", "SERTRALINE 50 mg, gélule", "1 gélule le matin", 1, form="gélule", cip="100010"
)
TIOTROPIUM = Drug(
    "R03BB04",
    "tiotropium",
    "TIOTROPIUM 18 µg, poudre pour inhalation en gélule",
    "1 inhalation le matin",
    1,
    form="inhalation",
    cip="100011",
)
APIXABAN = Drug("B01AF02", "apixaban", "APIXABAN 5 mg, comprimé pelliculé", "1 comprimé matin et soir", 2, cip="100012")
BISOPROLOL = Drug("C07AB07", "bisoprolol", "BISOPROLOL 2,5 mg, comprimé", "1 comprimé le matin", 1, cip="100013")
SUMATRIPTAN = Drug(
    "N02CC01", "sumatriptan", "SUMATRIPTAN 50 mg, comprimé", "1 comprimé dès le début de la crise", 1, cip="100014"
)
OMEPRAZOLE = Drug(
    "A02BC01",
    "oméprazole",
    "OMÉPRAZOLE 20 mg, gélule gastro-résistante",
    "1 gélule le soir",
    1,
    form="gélule",
    cip="100015",
)
AMOXICILLIN = Drug(
    "J01CA04",
    "amoxicilline",
    "AMOXICILLINE 500 mg, gélule",
    "1 gélule 3 fois par jour pendant 6 jours",
    3,
    form="gélule",
    cip="100016",
)
IBUPROFEN = Drug(
    "M01AE01", "ibuprofène", "IBUPROFÈNE 400 mg, comprimé", "1 comprimé 3 fois par jour au repas", 3, cip="100017"
)
COLECALCIFEROL = Drug(
    "A11CC05",
    "colécalciférol",
    "COLÉCALCIFÉROL 100 000 UI, solution buvable en ampoule",
    "1 ampoule par trimestre",
    1,
    unit="mo",
    form="ampoule",
    cip="100018",
)
DERMOCORTICOID = Drug(
    "D07AC14",
    "méthylprednisolone acéponate",
    "MÉTHYLPREDNISOLONE ACÉPONATE 0,1 %, crème",
    "1 application le soir sur les lésions",
    1,
    form="application",
    cip="100019",
)


def _rising(start, base, slope, top):
    return lambda age, sex: 0 if age < start else min(top, base + (age - start) * slope)


ILLNESSES = (
    Illness(
        "hypertension",
        "I10",
        "38341003",
        "Hypertension artérielle essentielle",
        _rising(40, 0.12, 0.013, 0.62),
        (RAMIPRIL, AMLODIPINE),
        imaging="heart",
        specialty="cardiologie",
    ),
    Illness(
        "diabetes",
        "E11.9",
        "44054006",
        "Diabète de type 2",
        _rising(40, 0.05, 0.005, 0.2),
        (METFORMIN, INSULIN),
        specialty="endocrinologie",
    ),
    Illness(
        "cholesterol", "E78.0", "13644009", "Hypercholestérolémie", _rising(38, 0.12, 0.006, 0.35), (ATORVASTATIN,)
    ),
    Illness(
        "asthma", "J45.9", "195967001", "Asthme", lambda age, sex: 0.08 if age > 3 else 0, (SALBUTAMOL, BUDESONIDE)
    ),
    Illness(
        "hypothyroidism",
        "E03.9",
        "40930008",
        "Hypothyroïdie",
        lambda age, sex: 0 if age < 30 else 0.07 if sex == "female" else 0.015,
        (LEVOTHYROXINE,),
    ),
    Illness(
        "gonarthrosis",
        "M17.9",
        "239873007",
        "Gonarthrose",
        _rising(55, 0.15, 0.01, 0.4),
        (PARACETAMOL,),
        imaging="knee",
        specialty="rhumatologie",
    ),
    Illness(
        "depression",
        "F32.9",
        "35489007",
        "Épisode dépressif",
        lambda age, sex: 0 if age < 18 else 0.1 if sex == "female" else 0.06,
        (SERTRALINE,),
        acute=400,
    ),
    Illness(
        "copd",
        "J44.9",
        "13645005",
        "Bronchopneumopathie chronique obstructive",
        _rising(50, 0.03, 0.003, 0.12),
        (TIOTROPIUM,),
        imaging="chest",
        specialty="pneumologie",
    ),
    Illness(
        "fibrillation",
        "I48.9",
        "49436004",
        "Fibrillation atriale",
        _rising(62, 0.04, 0.007, 0.2),
        (APIXABAN, BISOPROLOL),
        imaging="heart",
        specialty="cardiologie",
    ),
    Illness(
        "migraine",
        "G43.9",
        "37796009",
        "Migraine",
        lambda age, sex: 0 if age < 12 else 0.14 if sex == "female" else 0.06,
        (SUMATRIPTAN,),
    ),
    Illness("reflux", "K21.9", "235595009", "Reflux gastro-œsophagien", _rising(25, 0.06, 0.002, 0.15), (OMEPRAZOLE,)),
    Illness(
        "angina",
        "J02.0",
        "43878008",
        "Angine à streptocoque",
        lambda age, sex: 0.35 if age > 3 else 0,
        (AMOXICILLIN,),
        acute=10,
    ),
    Illness(
        "otitis",
        "H66.9",
        "65363002",
        "Otite moyenne",
        lambda age, sex: 0.5 if age < 14 else 0.05,
        (PARACETAMOL,),
        acute=9,
    ),
    Illness(
        "wrist",
        "S52.9",
        "65966004",
        "Fracture de l'avant-bras",
        lambda age, sex: 0.12,
        (PARACETAMOL,),
        acute=45,
        imaging="wrist",
    ),
    Illness(
        "back",
        "M54.5",
        "279039007",
        "Lombalgie basse",
        lambda age, sex: 0.3 if age > 20 else 0,
        (IBUPROFEN,),
        acute=30,
        imaging="back",
    ),
    Illness(
        "eczema",
        "L20.9",
        "24079001",
        "Dermatite atopique",
        lambda age, sex: 0.2 if age < 18 else 0.04,
        (DERMOCORTICOID,),
    ),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Allergen:
    substance: str  # SNOMED CT
    name: str
    category: str
    manifestation: tuple
    severity: str
    criticality: str


ALLERGENS = (
    Allergen("764146007", "Pénicilline", "medication", ("126485001", "Urticaire"), "moderate", "high"),
    Allergen("762952008", "Arachide", "food", ("39579001", "Choc anaphylactique"), "severe", "high"),
    Allergen("256277009", "Pollen de graminées", "environment", ("70076002", "Rhinite"), "mild", "low"),
    Allergen("387458008", "Acide acétylsalicylique", "medication", ("41291007", "Angiœdème"), "moderate", "high"),
    Allergen("288328004", "Venin d'abeille", "environment", ("126485001", "Urticaire"), "moderate", "high"),
    Allergen("111088007", "Latex", "environment", ("40275004", "Dermatite de contact"), "mild", "low"),
    Allergen("735029006", "Coquillages et crustacés", "food", ("126485001", "Urticaire"), "moderate", "low"),
)


@dataclass(frozen=True, slots=True)
class Vaccine:
    atc: str
    name: str
    maker: str


DTCAP = Vaccine("J07CA09", "Vaccin diphtérie, tétanos, coqueluche, poliomyélite, Hib, hépatite B", "Laboratoire Alizé")
DTP = Vaccine("J07CA01", "Vaccin diphtérie, tétanos, poliomyélite", "Laboratoire Alizé")
PNEUMO = Vaccine("J07AL02", "Vaccin pneumococcique conjugué", "Laboratoire Borée")
MENC = Vaccine("J07AH07", "Vaccin méningococcique C conjugué", "Laboratoire Borée")
ROR = Vaccine("J07BD52", "Vaccin rougeole, oreillons, rubéole", "Laboratoire Cassiopée")
HPV = Vaccine("J07BM03", "Vaccin papillomavirus humain", "Laboratoire Cassiopée")
FLU = Vaccine("J07BB02", "Vaccin grippal saisonnier", "Laboratoire Alizé")
COVID = Vaccine("J07BN01", "Vaccin contre la Covid-19 à ARN messager", "Laboratoire Draco")

CHILDHOOD = (  # (age in months, vaccine, dose)
    (2, DTCAP, 1), (2, PNEUMO, 1), (4, DTCAP, 2), (4, PNEUMO, 2), (5, MENC, 1), (11, DTCAP, 3), (11, PNEUMO, 3),
    (12, ROR, 1), (12, MENC, 2), (17, ROR, 2), (72, DTP, 4), (138, DTP, 5), (140, HPV, 1), (146, HPV, 2),
)  # fmt: skip
ADULT_BOOSTERS = (25, 45, 65, 75, 85, 95)  # years, DTP
