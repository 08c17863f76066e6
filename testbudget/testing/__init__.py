"""Published conformance suites."""
