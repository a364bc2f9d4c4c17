"""ImagingStudy and its report, for those whose illness or age calls for one. (DICOM PS3.3, dicomweb UIDs)"""

import datetime
from dataclasses import dataclass

from . import carers
from .chart import LOINC, SNOMED, V2, coded, coding, concept, reference
from .visits import consultation

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SOP = "urn:oid:1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class Examination:
    modality: str
    modality_name: str
    sop: str
    site: tuple
    loinc: tuple
    series: tuple  # (description, number of images)
    conclusion: str


EXAMINATIONS = {
    "knee": Examination("DX", "Radiographie numérique", "1.1", ("72696002", "Genou"),
                        ("36554-4", "Radiographie du genou"), (("Face", 1), ("Profil", 1)),
                        "Pincement de l'interligne fémoro-tibial interne, ostéophytes."),
    "wrist": Examination("DX", "Radiographie numérique", "1.1", ("14975008", "Avant-bras"),
                         ("37363-9", "Radiographie de l'avant-bras"), (("Face", 1), ("Profil", 1)),
                         "Fracture de l'extrémité distale du radius, peu déplacée."),
    "chest": Examination("CT", "Tomodensitométrie", "2", ("51185008", "Thorax"), ("24627-2", "Scanner du thorax"),
                         (("Axial parenchyme", 6), ("Coronal", 4)),
                         "Emphysème centro-lobulaire des sommets, pas de nodule suspect."),
    "back": Examination("MR", "Imagerie par résonance magnétique", "4", ("122496007", "Rachis lombaire"),
                        ("24968-0", "IRM du rachis lombaire"), (("Sagittal T1", 4), ("Sagittal T2", 4)),
                        "Discopathie L4-L5 protrusive, sans conflit radiculaire."),
    "heart": Examination("US", "Échographie", "6.1", ("80891009", "Cœur"), ("34552-0", "Échocardiographie"),
                         (("Parasternale grand axe", 3),), "Fraction d'éjection du ventricule gauche 62 %."),
    "breast": Examination("MG", "Mammographie", "1.2", ("76752008", "Sein"), ("24606-6", "Mammographie de dépistage"),
                          (("Face", 2), ("Oblique", 2)), "ACR 2 des deux côtés. Contrôle dans deux ans."),
}  # fmt: skip


def write(chart, known):
    """The examinations of this person: (illness, first day) and the screening of women from 50 to 74."""
    person, done = chart.person, set()
    for illness, onset, _ in known:
        if illness.imaging and illness.imaging not in done and chart.random.random() < 0.75:
            done.add(illness.imaging)
            study(chart, EXAMINATIONS[illness.imaging], onset + datetime.timedelta(days=chart.random.randrange(2, 15)))
    if person.sex == "female" and 50 <= person.age <= 74:
        study(chart, EXAMINATIONS["breast"], chart.day_ago(40, 700))
    if person.has("fibrillation"):
        stay(chart, next(onset for illness, onset, _ in known if illness.key == "fibrillation"))


def study(chart, examination, day):
    """The study with its series and images, and the radiologist's report."""
    hospital = carers.hospital(chart)
    radiologist, name = carers.specialist(chart, "radiologie")
    when, uid = chart.moment(day), chart.dicom_uid()
    series = []
    for number, (description, count) in enumerate(examination.series, 1):
        series.append(
            {
                "uid": chart.dicom_uid(),
                "number": number,
                "modality": coding(DCM, examination.modality, examination.modality_name),
                "description": description,
                "numberOfInstances": count,
                "bodySite": coding(SNOMED, *examination.site),
                "started": when.isoformat(),
                "instance": [
                    {
                        "uid": chart.dicom_uid(),
                        "sopClass": {"system": "urn:ietf:rfc:3986", "code": SOP + examination.sop},
                        "number": image,
                    }
                    for image in range(1, count + 1)
                ],
            }
        )
    code = concept(LOINC, *examination.loinc)
    urn = chart.add(
        {
            "resourceType": "ImagingStudy",
            "identifier": [{"use": "official", "system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
            "status": "available",
            "modality": [coding(DCM, examination.modality, examination.modality_name)],
            "subject": chart.subject,
            "started": when.isoformat(),
            "interpreter": [reference(radiologist, name)],
            "numberOfSeries": len(series),
            "numberOfInstances": sum(s["numberOfInstances"] for s in series),
            "procedureCode": [code],
            "description": examination.loinc[1],
            "series": series,
        }
    )
    chart.add(
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [coded(f"{V2}0074", "RAD")],
            "code": code,
            "subject": chart.subject,
            "effectiveDateTime": when.isoformat(),
            "issued": (when + datetime.timedelta(hours=2)).isoformat(timespec="milliseconds"),
            "performer": [reference(hospital)],
            "resultsInterpreter": [reference(radiologist, name)],
            "imagingStudy": [reference(urn)],
            "conclusion": examination.conclusion,
        }
    )


def stay(chart, day):
    """Some days in hospital."""
    doctor, _ = carers.specialist(chart, "cardiologie")
    days = chart.random.randrange(2, 8)
    chart.add(consultation(chart, chart.moment(day), True, days, carers.hospital(chart), doctor))
