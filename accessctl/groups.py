"""Every type is in one of three groups: it belongs to patients, it is directory or definitions, or it is the rest.

`patients`   judged by the patients of the row; a row of nobody is its author's
`directory`  organisations, carers, catalogues, terminology, conformance: readable within scope by everybody known
`rest`       its author's alone, whomever it names (Group, List and Basic confer and reveal nothing)
"""

from records.definitions.structures import RESOURCE_TYPES

DIRECTORY = frozenset(
    [
        "ActivityDefinition",
        "CapabilityStatement",
        "CatalogEntry",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "DeviceDefinition",
        "EffectEvidenceSynthesis",
        "Endpoint",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "GraphDefinition",
        "HealthcareService",
        "ImplementationGuide",
        "InsurancePlan",
        "Library",
        "Location",
        "Measure",
        "Medication",
        "MedicationKnowledge",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "MessageDefinition",
        "NamingSystem",
        "ObservationDefinition",
        "OperationDefinition",
        "Organization",
        "OrganizationAffiliation",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "RiskEvidenceSynthesis",
        "SearchParameter",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
        "TerminologyCapabilities",
        "TestScript",
        "ValueSet",
    ]
)
REST = frozenset(
    [
        "Basic",
        "BiologicallyDerivedProduct",
        "Bundle",
        "DeviceMetric",
        "EnrollmentResponse",
        "Group",
        "List",
        "OperationOutcome",
        "Parameters",
        "PaymentReconciliation",
        "ResearchStudy",
        "Slot",
        "Subscription",
        "TestReport",
    ]
)
PATIENTS = frozenset(RESOURCE_TYPES) - DIRECTORY - REST

READS = frozenset(
    [
        "read",
        "vread",
        "history-instance",
        "history-type",
        "history-system",
        "search",
        "search-type",
        "search-system",
        "resolve",
    ]
)
WRITES = frozenset(("create", "update", "patch", "delete"))
