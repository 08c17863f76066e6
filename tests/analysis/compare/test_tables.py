"""Tables of a comparison."""

from testbudget.analysis.compare.tables import detail_tables, grid_tables, rules, summary_tables


def test_every_row_has_a_cell_for_each_column(comparison):
    for table in (*summary_tables(comparison), *detail_tables(comparison), *grid_tables(comparison)):
        assert table.title
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_there_is_a_table_of_gains_for_each_rule(comparison):
    assert rules(comparison) == ["majority", "consensus"]
    titles = [table.title for table in detail_tables(comparison)]
    for rule in rules(comparison):
        assert any(title.startswith(f"Selection {rule}:") for title in titles)


def test_grid_tables_have_a_row_for_each_cell(comparison):
    assert {len(table.rows) for table in grid_tables(comparison)} == {len(comparison.grid)}
