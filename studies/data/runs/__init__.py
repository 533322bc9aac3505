"""Tables of runs that something else made: read, with a role for each column, as runs that can be compared."""
