"""Each requirement on a SMART server (S1-S32) has a test that it is met, and one that what it forbids fails."""

import ast
import re
from pathlib import Path

FILES = sorted(Path(__file__).parent.glob("test_*.py"))

# requirement -> (tests that it is met, tests that what it forbids fails); one test may do both
REQUIREMENTS = {
    "S1": (["S1_S2_S3_for_anybody"], ["S1_other_methods"]),
    "S2": (["S1_S2_S3_for_anybody"], ["S2_a_forged_host_is_in_no_address"]),
    "S3": (["S1_S2_S3_for_anybody"], ["S3_S8_what_is_not_listed_is_not_there"]),
    "S4": (["S1_S2_S3_for_anybody", "S15_S18_S25_standalone"], ["A57_A59_S13_what_is_wrong_yields_no_code"]),
    "S5": (["S5_sso"], ["S5_the_keys_verify_what_is_ours_alone"]),
    "S6": (["S6_asymmetric"], ["A64_algorithms"]),
    "S7": (["S7_endpoints_beside_the_token"], ["S7_endpoints_beside_the_token"]),
    "S8": (["S8_what_is_advertised_is_tested_here"], ["S3_S8_what_is_not_listed_is_not_there"]),
    "S9": (["S9_cors"], ["S9_cors"]),
    "S10": (
        ["S10_the_least_is_tls_1_2"],
        ["S10_nothing_less_is_answered", "S10_no_other_machine_is_served_in_clear",
         "S10_no_token_leaves_in_clear_behind_a_proxy"],
    ),
    "S11": (
        ["S11_keys_by_address_are_kept_for_a_while", "A58_on_loopback_any_port"],
        ["A58_S11_addresses_match_exactly", "S11_addresses_that_are_not_registered"],
    ),
    "S12": (["S12_a_form_may_ask_too"], ["S12_in_one_place_and_by_no_other_method"]),
    "S13": (["S15_S18_S25_standalone"], ["A57_A59_S13_what_is_wrong_yields_no_code"]),
    "S14": (["S14_S25_an_ehr_launch"], ["A69_S14_a_launch_is_of_one_person_one_application_and_once"]),
    "S15": (["S15_S18_S25_standalone"], ["S15_denial"]),
    "S16": (
        ["S16_a_code_lives_a_minute"],
        ["A59_A60_S16_a_code_is_bound", "A60_S16_a_code_counts_once_and_its_replay_ends_the_family"],
    ),
    "S17": (
        ["S17_a_confidential_application_proves_itself", "S17_a_public_client_may_leave_out_its_name_at_a_refresh"],
        ["S17_what_the_token_endpoint_takes"],
    ),
    "S18": (["S15_S18_S25_standalone", "S18_S19_a_token_for_five_minutes"], ["S18_an_error_is_not_kept_either"]),
    "S19": (["S18_S19_a_token_for_five_minutes"], ["S19_an_expired_token_is_refused"]),
    "S20": (
        ["A61_S20_rotation_and_reuse"],
        ["A61_S20_a_refresh_token_is_bound", "S20_S32_offline_lasts_and_online_ends_with_the_session"],
    ),
    "S21": (["S21_letters", "S21_version_1_is_answered_with_version_1"], ["A24_S21_what_is_no_scope"]),
    "S22": (
        ["S22_a_bundle_is_judged_entry_by_entry"],
        ["S22_scopes_are_a_ceiling", "S22_the_ceiling_of_a_person", "S22_a_login_of_nobody_lends_no_rights"],
    ),
    "S23": (["S23_exactly_one_patient_and_a_picker"], ["A20_S23_patient_scope_reaches_one_record"]),
    "S24": (["A21_S24_search"], ["A22_S24_instance", "A23_S24_writes_before_and_after"]),
    "S25": (["S14_S25_an_ehr_launch", "S15_S18_S25_standalone"], ["S25_what_is_no_context_in_what_an_ehr_tells"]),
    "S26": (
        ["S26_id_token", "S26_keys_are_public_and_bare"],
        ["S26_fhir_user_of_a_professional_and_of_nobody"],
    ),
    "S27": (["the_token_works_as_far_as_its_scope"], ["A24_S27_scopes_beyond_what_was_registered"]),
    "S28": (["S18_S19_a_token_for_five_minutes"], ["A66_S28_claims", "A64_algorithms"]),
    "S29": (["S29_jku", "S29_a_new_key_is_fetched"], ["S29_jku"]),
    "S30": (["S18_S19_a_token_for_five_minutes"], ["S30_no_shared_secrets"]),
    "S31": (["S31_introspection", "S31_introspection_tells_the_launch"], ["A70_introspection_needs_a_client"]),
    "S32": (
        ["S32_scopes_can_be_deselected", "S32_revocation_ends_the_family_at_once"],
        ["S32_a_person_disconnects_an_application", "S20_S32_offline_lasts_and_online_ends_with_the_session",
         "A57_A59_S13_what_is_wrong_yields_no_code"],
    ),
}  # fmt: skip


def names():
    """Names of the tests of this folder, without `test_`."""
    trees = [ast.parse(file.read_text()) for file in FILES]
    found = [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {name.removeprefix("test_") for name in found if name.startswith("test_")}


def test_every_requirement_has_both():
    assert list(REQUIREMENTS) == [f"S{n}" for n in range(1, 33)]
    known = names()
    for requirement, (met, forbidden) in REQUIREMENTS.items():
        assert met and forbidden and {*met, *forbidden} <= known, requirement


def test_what_a_test_says_it_is_of_is_in_the_table():
    for name in names():
        for requirement in re.findall(r"(?<![A-Za-z0-9])S\d+(?=_)", name.replace("_S", "_ S")):
            assert any(name in half for half in REQUIREMENTS[requirement]), (name, requirement)
