"""Columns of a file under the names of fields."""

import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.rows.field_names import check_columns, check_field_names, renamed_columns


def test_columns_get_the_names_of_fields_and_the_others_keep_theirs():
    row = {"nr": 1, "id": "other", "meta": {"level": 3}, "kept": True}
    names = {"id": "nr", "level": "meta.level", "absent": "nothing"}
    assert renamed_columns(row, names) == {"id": 1, "level": 3, "meta": {"level": 3}, "kept": True}


def test_fields_and_columns_that_are_not_there_are_refused_with_those_that_are():
    with pytest.raises(
        UserError, match=r"fields.cod must be a field of a row \(id, code\) .* did you mean code"
    ):
        check_field_names({"cod": "x"}, ("id", "code"), "a row")
    with pytest.raises(UserError, match=r"fields.id must name a column of f.csv \(nr, text\) but got 'mr'"):
        check_columns({"id": "mr"}, ("nr", "text"), "f.csv")
    check_columns({"id": "mr"}, (), "an empty file")
