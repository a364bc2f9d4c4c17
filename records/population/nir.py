"""The French identity number: sex, year, month, place and order of birth, and a key. (INS: 13 characters + 2)"""


def key(number):
    """The two digits after the 13 characters: 97 - (N mod 97), Corsica read as 19 and 18."""
    digits = number[:5] + {"2A": "19", "2B": "18"}.get(number[5:7], number[5:7]) + number[7:]
    return f"{97 - int(digits) % 97:02d}"


def nir(sex, birth, cog, order):
    """15 characters. Corsica was one department, 20, until the end of 1975."""
    if cog[:2] in ("2A", "2B") and birth.year < 1976:
        cog = "20" + cog[2:]
    number = f"{1 if sex == 'male' else 2}{birth.year % 100:02d}{birth.month:02d}{cog}{order:03d}"
    return number + key(number)


def luhn(digits):
    """The digit that makes a number pass the Luhn test, as RPPS numbers do."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def ean(digits):
    """The check digit of EAN-13, which ends a CIP13."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return str(-total % 10)
