"""The five reports: published values, measures and verdicts."""
