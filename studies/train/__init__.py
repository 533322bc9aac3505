"""From units of work to rows."""
