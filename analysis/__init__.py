"""What finished runs show: figures, tables and reports."""
