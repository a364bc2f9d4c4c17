"""Communes with their COG code, postal code and time zone, and countries of birth (COG 99xxx). (insee.fr, COG 2024)"""

from dataclasses import dataclass

PARIS = "Europe/Paris"
ELSEWHERE = {"971": "America/Guadeloupe", "972": "America/Martinique", "974": "Indian/Reunion"}
COMMUNES = """75112 75012 Paris;75114 75014 Paris;75118 75018 Paris;13205 13005 Marseille;13208 13008 Marseille
69383 69003 Lyon;69388 69008 Lyon;31555 31000 Toulouse;06088 06000 Nice;44109 44000 Nantes;67482 67000 Strasbourg
34172 34000 Montpellier;33063 33000 Bordeaux;59350 59000 Lille;35238 35000 Rennes;51454 51100 Reims
42218 42000 Saint-Étienne;83137 83000 Toulon;76351 76600 Le Havre;38185 38000 Grenoble;21231 21000 Dijon
49007 49000 Angers;30189 30000 Nîmes;63113 63000 Clermont-Ferrand;29019 29200 Brest;37261 37000 Tours
80021 80000 Amiens;87085 87000 Limoges;74010 74000 Annecy;66136 66000 Perpignan;25056 25000 Besançon;57463 57000 Metz
45234 45000 Orléans;76540 76000 Rouen;68224 68100 Mulhouse;14118 14000 Caen;54395 54000 Nancy
97411 97400 Saint-Denis;97209 97200 Fort-de-France;97105 97100 Basse-Terre;2A004 20000 Ajaccio;2B033 20200 Bastia
2A041 20169 Bonifacio;64102 64100 Bayonne;17300 17000 La Rochelle;72181 72000 Le Mans;86194 86000 Poitiers
64445 64000 Pau;56121 56100 Lorient;22278 22000 Saint-Brieuc;26362 26000 Valence;29232 29000 Quimper;10387 10000 Troyes
73065 73000 Chambéry;84007 84000 Avignon;62041 62000 Arras;15014 15000 Aurillac;19031 19100 Brive-la-Gaillarde
12202 12000 Rodez;40192 40000 Mont-de-Marsan;32013 32000 Auch;05061 05000 Gap;71270 71000 Mâcon;88160 88000 Épinal
08105 08000 Charleville-Mézières;50129 50100 Cherbourg-en-Cotentin;53130 53000 Laval;85191 85000 La Roche-sur-Yon
18033 18000 Bourges;58194 58000 Nevers;89024 89000 Auxerre;39300 39000 Lons-le-Saunier;43157 43000 Le Puy-en-Velay
24322 24000 Périgueux;46042 46000 Cahors;82121 82000 Montauban;65440 65000 Tarbes;11069 11000 Carcassonne
48095 48000 Mende;07186 07000 Privas;01053 01000 Bourg-en-Bresse;93066 93200 Saint-Denis;94028 94000 Créteil
92050 92000 Nanterre;91228 91000 Évry-Courcouronnes;95500 95000 Pontoise;77288 77000 Melun;78646 78000 Versailles
60057 60000 Beauvais;02408 02000 Laon;28085 28000 Chartres;41018 41000 Blois;36044 36000 Châteauroux;61001 61000 Alençon
27229 27000 Évreux"""
COUNTRIES = """99352 Algérie;99350 Maroc;99351 Tunisie;99139 Portugal;99127 Italie;99134 Espagne;99341 Sénégal
99326 Côte d'Ivoire;99312 Congo (République démocratique);99243 Viêt Nam;99131 Belgique;99109 Allemagne;99122 Pologne
99208 Turquie;99216 Chine;99132 Royaume-Uni"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is born or lives; `postal` is empty for a country."""

    cog: str
    name: str
    postal: str = ""
    zone: str = PARIS

    @property
    def abroad(self):
        return self.cog.startswith("99")


def _lines(text):
    return [item for line in text.split("\n") for item in line.split(";")]


def _commune(line):
    cog, postal, name = line.split(" ", 2)
    return Place(cog, name, postal, ELSEWHERE.get(cog[:3], PARIS))


HOMES = tuple(_commune(line) for line in _lines(COMMUNES))
BIRTHPLACES = HOMES + tuple(Place(*line.split(" ", 1)) for line in _lines(COUNTRIES))
