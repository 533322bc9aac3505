"""From numbers to texts, tables, pictures and pages."""
