"""A reason survives its message, whatever the message holds beside it."""

from testbudget.rewards.verdict_reason import MAX_DETAIL, DetailName, VerdictReason


def test_a_message_is_read_as_it_was_written():
    reason = VerdictReason("The candidate raised KeyError.", {DetailName.MESSAGE: "'a'"})
    assert VerdictReason.from_message(reason.as_message()) == reason


def test_what_is_no_reason_is_left_out():
    assert VerdictReason.from_message(["A sentence.", {"message": 1, "other": "x"}]) == VerdictReason(
        "A sentence."
    )
    for message in (None, "text", [], ["A sentence."], [1, {}], ["A sentence.", []]):
        assert VerdictReason.from_message(message) is None


def test_texts_are_cut():
    read = VerdictReason.from_message(["s" * 1000, {"given": "g" * 1000}])
    assert (len(read.sentence), len(read.detail[DetailName.GIVEN])) == (MAX_DETAIL, MAX_DETAIL)


def test_addresses_of_objects_are_left_out_so_that_equal_runs_have_equal_reasons():
    read = VerdictReason.from_message(["It raised.", {"given": "[<function f at 0x7f22e4b48000>, 0x7f22]"}])
    assert read.detail[DetailName.GIVEN] == "[<function f at 0x...>, 0x7f22]"
