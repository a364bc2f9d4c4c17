"""Given names by sex and generation, family names: accents, ligatures, particles, apostrophes and hyphens included."""

MALE_BEFORE_1960 = """
Jean Michel André Pierre Jacques René Bernard Gérard Claude Roger Marcel François Noël Étienne Lucien Raymond Aimé
Désiré Jean-Pierre Jean-Claude Léon Honoré Fernand Édouard Hervé Yves Loïc Ange-Marie
"""
FEMALE_BEFORE_1960 = """
Marie Jeanne Monique Françoise Jacqueline Denise Yvette Simone Odette Thérèse Andrée Hélène Geneviève Marie-Thérèse
Cécile Éliane Josèphe Solange Renée Noëlle Ghislaine Édith Anne-Marie Colette Aimée
"""
MALE_FROM_1960 = """
Philippe Stéphane Frédéric Sébastien Laurent Éric Thierry Christophe Jérôme Cédric Rémi Gaël Mickaël Raphaël Joël
Benoît Grégory Karim Mamadou José Fabrice Cyril Jean-Baptiste Théophile Youssef Duc
"""
FEMALE_FROM_1960 = """
Sylvie Nathalie Isabelle Valérie Véronique Céline Stéphanie Aurélie Émilie Gaëlle Maëlle Hélène Zoé Marie-Ève
Bénédicte Géraldine Fatima Aïcha Aminata Maria Inès Élodie Mélanie Anaïs Joëlle Noémie Linh
"""
MALE_FROM_1990 = """
Léo Gabriel Raphaël Noé Théo Hugo Jules Maël Éden Loïs Timéo Eliott Adam Mathéo Gaëtan Étienne Ismaël Naël Côme
Nathanaël Élie Aurèle Célestin Yanis Jean-Noël Enzo Anatole
"""
FEMALE_FROM_1990 = """
Emma Léa Zoé Chloé Inès Maëlys Loïse Anaïs Éloïse Héloïse Noémie Élise Agathe Clémence Lou-Anne Océane Naïs Maïa
Aïssatou Yasmine Eugénie Cécilia Apolline Anne-Gaëlle Maé Philomène Salomé
"""
FAMILY_NAMES = """
Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux David
Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller Lefebvre Faure André Mercier
Blanc Guérin Boyer Garnier Chevalier François Legrand Gauthier Garcia Perrin Robin Clément Morin Nicolas Henry
Roussel Mathieu Gautier Masson Marchand Duval Denis Dumont Marie Lemaire Noël Meyer Dufour Meunier Brun Blanchard
Giraud Joly Rivière Lucas Brunet Gaillard Barbier Arnaud Martínez Gérard Roche Renard Schmitt Roy Leroux Colin Vidal
Caron Picard Fabre Aubert Lemoine Renaud Dumas Lacroix Olivier Philippe Bourgeois Pierre Benoît Rey Leclerc Payet
Rolland Leclercq Guillaume Lecomte López Jean Dupuy Guillot Hubert Berger Carpentier Sánchez Dupuis Moulin Louis
Deschamps Huet Vasseur Pérez Boucher Fleury Royer Klein Jacquet Adam Paris Poirier Marty Aubry Guyot Carré Charles
Renault Charpentier Ménard Maillard Baron Bertin Bailly Hervé Schneider Fernández Collet Léger Bouvier Prévost
Millet Perrot Daniel Lœuillet Cousin Germain Breton Besson Langlois Rémy Pelletier Lévêque Perrier Leblanc Barré
Lebrun Marchal Weber Mallet Hamon Boulanger Jacob Monnier Michaud Rodríguez Guichard Gillet Étienne Grondin Poulain
Tessier Chevallier Collin Chauvin Bénard N'Diaye Diallo Traoré Benali Haddad Nguyễn Trần Da-Silva Ferreira Kowalski
Yılmaz Rossi Hoarau Fontaine-Lévy Saint-Léger Çelik Ibañez Gœtz Kœnig Açard Noñez Bœuf d'Arc-Lefèvre d'Hérouville
d'Aubigné L'Hostis Cazaux-Peyré
"""
FAMILY_NAMES_OF_SEVERAL_WORDS = """
de La Tour
de Saint-Exupère
du Plessis
des Essarts
de L'Épine
Le Goff
Le Bihan
Le Guen
Le Floc'h
Tanguy-Le Gac
Ben Amar
El Amrani
van der Meersch
De Sousa
Dos Santos
"""
STREET_NAMES = """
rue de l'Église
rue des Écoles
place de la Mairie
avenue de la République
rue Victor-Hugo
allée des Tilleuls
rue du Général-de-Gaulle
impasse du Moulin
chemin de la Fontaine
boulevard Gambetta
rue Jean-Jaurès
rue des Lilas
quai de l'Île
rue Émile-Zola
rue de l'Hôtel-Dieu
cours Saint-Médard
rue de la Forêt
rue Hélène-Boucher
rue du Maréchal-Foch
traverse de la Bergère
"""

FAMILY = (*FAMILY_NAMES.split(), *FAMILY_NAMES_OF_SEVERAL_WORDS.strip().split("\n"))
STREETS = tuple(STREET_NAMES.strip().split("\n"))
GIVEN = {
    ("male", 0): MALE_BEFORE_1960.split(),
    ("male", 1960): MALE_FROM_1960.split(),
    ("male", 1990): MALE_FROM_1990.split(),
    ("female", 0): FEMALE_BEFORE_1960.split(),
    ("female", 1960): FEMALE_FROM_1960.split(),
    ("female", 1990): FEMALE_FROM_1990.split(),
}


def given(sex, year):
    """Given names in use for a sex in a year of birth."""
    return GIVEN[sex, 0 if year < 1960 else 1960 if year < 1990 else 1990]
