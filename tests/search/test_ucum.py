"""Units that say the same are the same. (unitsofmeasure.org)"""

from decimal import Decimal

import pytest

from records.search.ucum import UnknownUnit, _table, unit


@pytest.mark.parametrize(
    "value, code, other_value, other_code",
    [
        ("100", "mg/dL", "1", "g/L"),
        ("1", "kg", "1000", "g"),
        ("37", "Cel", "98.6", "[degF]"),
        ("0", "Cel", "273.15", "K"),
        ("1", "N", "1", "kg.m/s2"),
        ("1", "N", "1", "kg.m.s-2"),
        ("120", "mm[Hg]", "15.99864", "kPa"),
        ("1", "L", "1", "l"),
        ("1", "L", "1000", "mL"),
        ("1", "mL", "1", "cm3"),
        ("60", "/min", "1", "/s"),
        ("60", "{beats}/min", "1", "Hz"),
        ("1", "[lb_av]", "453.59237", "g"),
        ("1", "[in_i]", "2.54", "cm"),
        ("50", "%", "0.5", "1"),
        ("5", "10*9/L", "5000", "10*6/L"),
        ("5", "10*9/L", "5", "10*3/uL"),
        ("1", "mmol/L", "1", "mol/m3"),
        ("2", "[IU]/mL", "2", "k[IU]/L"),
        ("1", "h", "60", "min"),
        ("1", "kg/m2", "1", "kg/(m.m)"),
        ("1", "mL/min/{1.73_m2}", "1", "mL/min"),
    ],
)
def test_equal(value, code, other_value, other_code):
    one, other = unit(code), unit(other_code)
    assert one.base == other.base
    assert abs(one.canonical(Decimal(value)) - other.canonical(Decimal(other_value))) < Decimal("1e-9")


@pytest.mark.parametrize("code, other", [("mg", "mL"), ("[IU]", "g"), ("[pH]", "1"), ("Cel", "J"), ("m[IU]", "mg")])
def test_different(code, other):
    assert unit(code).base != unit(other).base


@pytest.mark.parametrize(
    "code",
    ["", "foo", "mg per dL", "mg//dL", "(mg", "mg)", "k[degF]", "10*-99999999999", "m" * 500, "é", "0", "1/0", "m/00"],
)
def test_unknown(code):
    with pytest.raises(UnknownUnit):
        unit(code)


def test_every_unit_of_the_table_resolves():
    for code in _table()[1]:
        assert unit(code).factor > 0
