"""Terms of shared vocabularies: DPV, and our own for the PIPL beside it.

The Data Privacy Vocabulary (DPV 2, w3id.org/dpv) has no profile for the law
of mainland China, so `pipl.jsonld`, beside this module, names what the
Personal Information Protection Law names: its legal bases, the acts that
need separate consent, the sensitive kinds, roles, notices and rights. Each
concept has a label and a definition in English and Chinese, the article it
comes from, and the DPV concept it refines, where there is one.

A term is written short, ``dpv:Consent``; `iri` says it in full. Unknown
terms are refused wherever one is read (`is_term`), so a typing error does
not become a concept. Two things of GDPR and PIPL do not meet, and are not
forced to: the PIPL has no legitimate interests, and the GDPR has no separate
consent.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from consent.vocabulary import Category, LegalBasis, Purpose, RecipientClass

PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "dpv": "https://w3id.org/dpv#",
        "dpv-ps": "https://w3id.org/dpv/sector/publicservices#",
        "pipl": "https://curtilage.example/ns/pipl#",
    }
)
"""The namespaces of the terms, as a JSON-LD context has them."""

# DPV 2.0, module purposes.
_DPV_PURPOSES = """
AcademicResearch AccountManagement Advertising AgeVerification
CombatClimateChange CommercialPurpose CommercialResearch
CommunicationForCustomerCare CommunicationManagement CounterMoneyLaundering
Counterterrorism CreditChecking CustomerCare CustomerClaimsManagement
CustomerManagement CustomerOrderManagement CustomerRelationshipManagement
CustomerSolvencyMonitoring DataAltruism DeliveryOfGoods DirectMarketing
DisputeManagement EnforceAccessControl EnforceSecurity
EstablishContractualAgreement FraudPreventionAndDetection
FulfilmentOfContractualObligation FulfilmentOfObligation
HumanResourceManagement IdentityAuthentication IdentityVerification
ImproveExistingProductsAndServices ImproveHealthcare
ImproveInternalCRMProcesses ImprovePublicServices ImproveTransportMobility
IncreaseServiceRobustness InternalResourceOptimisation LegalCompliance
MaintainCreditCheckingDatabase MaintainCreditRatingDatabase
MaintainFraudDatabase Marketing MemberPartnerManagement
MisusePreventionAndDetection NonCommercialPurpose NonCommercialResearch
OptimisationForConsumer OptimisationForController OptimiseUserInterface
OrganisationComplianceManagement OrganisationGovernance
OrganisationRiskManagement PaymentManagement Personalisation
PersonalisedAdvertising PersonalisedBenefits PersonnelHiring
PersonnelManagement PersonnelPayment ProtectionOfIPR
ProtectionOfNationalSecurity ProtectionOfPublicSecurity
ProvideEventRecommendations ProvideOfficialStatistics
ProvidePersonalisedRecommendations ProvideProductRecommendations
PublicBenefit PublicPolicyMaking PublicRelations Purpose RecordManagement
RepairImpairments RequestedServiceProvision ResearchAndDevelopment
RightsFulfillment ScientificResearch SearchFunctionalities
SellDataToThirdParties SellInsightsFromData SellProducts
SellProductsToDataSubject ServiceOptimisation ServicePersonalisation
ServiceProvision ServiceRegistration ServiceUsageAnalytics
SocialMediaMarketing TargetedAdvertising TechnicalServiceProvision
UserInterfacePersonalisation VendorManagement VendorPayment
VendorRecordsManagement VendorSelectionAssessment Verification
"""
# DPV 2.0, module legal_basis.
_DPV_BASES = """
Consent Contract ContractPerformance DataSubjectContract EnterIntoContract
LegalObligation LegitimateInterest LegitimateInterestOfController
LegitimateInterestOfDataSubject LegitimateInterestOfThirdParty
OfficialAuthorityOfController PublicInterest VitalInterest
VitalInterestOfDataSubject VitalInterestOfNaturalPerson
"""
# DPV 2.0, module personal_data.
_DPV_DATA = "PersonalData SensitivePersonalData SpecialCategoryPersonalData"
# DPV 2, sector extension for public services.
_DPV_PUBLIC = """
PublicServiceProvision PublicServiceEligibilityAssessment
PublicServiceFraudPreventionDetection SocialSecurityManagement
SocialWelfareEligibilityAssessment
"""

BASIS_TERMS: Mapping[LegalBasis, tuple[str, ...]] = MappingProxyType(
    {
        LegalBasis.CONSENT: ("dpv:Consent", "pipl:Consent"),
        LegalBasis.CONTRACT: ("dpv:Contract", "pipl:ContractOrEmployment"),
        LegalBasis.LEGAL_OBLIGATION: (
            "dpv:LegalObligation",
            "pipl:StatutoryDuty",
        ),
        LegalBasis.VITAL_INTERESTS: (
            "dpv:VitalInterest",
            "pipl:EmergencyOrPublicHealth",
        ),
        LegalBasis.PUBLIC_TASK: (
            "dpv:OfficialAuthorityOfController",
            "pipl:StateOrganPowers",
        ),
        # The PIPL knows no such basis.
        LegalBasis.LEGITIMATE_INTERESTS: ("dpv:LegitimateInterest",),
    }
)
"""The terms of each legal basis: DPV's, and the PIPL's where it has one."""

PURPOSE_TERMS: Mapping[Purpose, tuple[str, ...]] = MappingProxyType(
    {
        Purpose.CURRENT: ("dpv:RequestedServiceProvision",),
        Purpose.ADMIN: ("dpv:TechnicalServiceProvision",),
        Purpose.DEVELOP: ("dpv:ServiceOptimisation",),
        Purpose.TAILORING: ("dpv:ServicePersonalisation",),
        Purpose.PSEUDO_ANALYSIS: ("dpv:ServiceUsageAnalytics",),
        Purpose.PSEUDO_DECISION: (
            "dpv:ServicePersonalisation",
            "pipl:AutomatedDecision",
        ),
        Purpose.INDIVIDUAL_ANALYSIS: ("dpv:ServiceUsageAnalytics",),
        Purpose.INDIVIDUAL_DECISION: (
            "dpv:ServicePersonalisation",
            "pipl:AutomatedDecision",
        ),
        Purpose.CONTACT: ("dpv:DirectMarketing",),
        Purpose.HISTORICAL: ("dpv:RecordManagement",),
        Purpose.TELEMARKETING: ("dpv:DirectMarketing",),
        Purpose.OTHER: ("dpv:Purpose",),
    }
)
"""The terms of each purpose of P3P, where a statement names no better one."""

SENSITIVE_TERMS: Mapping[Category, tuple[str, ...]] = MappingProxyType(
    {
        Category.HEALTH: ("pipl:MedicalHealth",),
        Category.FINANCIAL: ("pipl:FinancialAccount",),
        Category.LOCATION: ("pipl:Whereabouts",),
        # P3P's `political` holds religion, union, profession and party.
        Category.POLITICAL: ("pipl:ReligiousBelief", "pipl:SpecificIdentity"),
        Category.GOVERNMENT: ("pipl:SpecificIdentity",),
    }
)
"""The sensitive kinds of PIPL 28 that data of a category may be of.

P3P's categories are wider than the law's kinds, so this is the careful
reading: what may be of a sensitive kind is taken to be. Biometrics have no
category of P3P.
"""

SEPARATE_CONSENT: Mapping[RecipientClass, str] = MappingProxyType(
    {
        RecipientClass.DELIVERY: "pipl:ProvisionToOtherHandler",
        RecipientClass.SAME: "pipl:ProvisionToOtherHandler",
        RecipientClass.OTHER: "pipl:ProvisionToOtherHandler",
        RecipientClass.UNRELATED: "pipl:ProvisionToOtherHandler",
        RecipientClass.PUBLIC: "pipl:PublicDisclosure",
    }
)
"""The act that needs separate consent because of who gets the data."""


def sensitive_terms(categories: Iterable[Category]) -> tuple[str, ...]:
    """Return the sensitive kinds that data of these categories may be of.

    Args:
        categories: kinds of data, in P3P's words.

    Returns:
        Terms of the PIPL, each once, sorted.
    """
    return tuple(
        sorted(
            {
                term
                for category in categories
                for term in SENSITIVE_TERMS.get(category, ())
            }
        )
    )


def is_term(term: str) -> bool:
    """Say whether a term is one of those that are known here."""
    return term in known_terms()


@cache
def known_terms() -> frozenset[str]:
    """Return every term that may be written, such as ``dpv:Consent``."""
    dpv = f"{_DPV_PURPOSES} {_DPV_BASES} {_DPV_DATA}".split()
    return frozenset(
        {f"dpv:{name}" for name in dpv}
        | {f"dpv-ps:{name}" for name in _DPV_PUBLIC.split()}
        | pipl_concepts().keys()
    )


def iri(term: str) -> str:
    """Return a term in full.

    Args:
        term: a short one, such as ``pipl:SeparateConsent``.

    Returns:
        Its IRI.

    Raises:
        KeyError: its prefix is none of `PREFIXES`.
    """
    prefix, _, name = term.partition(":")
    return PREFIXES[prefix] + name


def pipl_vocabulary() -> bytes:
    """Return our vocabulary of the PIPL as it ships: JSON-LD in UTF-8."""
    return files("consent").joinpath("pipl.jsonld").read_bytes()


@cache
def pipl_concepts() -> Mapping[str, Mapping[str, object]]:
    """Return the concepts of the PIPL by their short terms.

    Returns:
        As in the file: ``prefLabel`` and ``definition`` by language,
        ``source`` with the articles, ``broader`` where there is a wider
        concept, ``consent`` where an act needs separate consent.
    """
    graph = json.loads(pipl_vocabulary())["@graph"]
    return MappingProxyType(
        {
            concept["@id"]: MappingProxyType(concept)
            for concept in graph
            if concept["@id"].startswith("pipl:")
        }
    )
