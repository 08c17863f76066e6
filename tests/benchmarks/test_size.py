"""Figures of size: slopes between the smallest and the largest run."""


def test_slopes_are_between_the_smallest_and_the_largest_run(script, monkeypatch):
    size = script("size")

    def figures(problems, tests, *, whole=True, pages):
        assert pages == 64
        return {
            "problems": problems,
            "tests": tests,
            "driver_tests_per_second": 1_000.0,
            "loop_tests_per_second": 500.0,
            "reading_ms_per_test": 1.0,
            "judging_ms_per_test": 1.0,
            "resident_kb": 500 + 3 * problems,
            "disk_kb": 40 * problems,
            "log_kb": 30 * problems,
            "reload_seconds": 1 + problems / 10_000,
            "restart_seconds": 1 + problems / 1_000,
        }

    monkeypatch.setattr(size, "figures_of", figures)
    shown = []
    found = size.size_figures((100, 200, 300), whole=50, pages=64, show=shown.append)
    assert [(one["problems"], one["tests"]) for one in shown] == [(100, 2), (200, 2), (300, 2), (50, 32)]
    assert found["resident_kb_per_problem"] == 3
    assert found["disk_kb_per_problem"] == 40
    assert found["reload_seconds_per_1000"] == 0.1
    assert found["driver_tests_per_second"] == 1_000
