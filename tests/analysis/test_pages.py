"""Pages from templates."""

from testbudget.analysis.pages import write_page
from testbudget.analysis.tables import Table


def test_a_page_is_written_into_a_new_folder_with_its_values_escaped(tmp_path):
    table = Table("", ("run", "cap"), [["<b>", "1"]], frozenset({0}))
    path = tmp_path / "new" / "page.html"
    filters = {"percent": str, "amount": str}
    write_page("report.html.j2", path, filters, runs=[], table=table, usable="usable")
    page = path.read_text()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert list(path.parent.iterdir()) == [path]
