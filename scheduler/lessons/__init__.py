"""What finished runs teach about the worth of tests: from recorded tests to lessons for policies."""
