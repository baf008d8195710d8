"""Facts about a run, its pipeline and its parameters: types and pure functions. Runs in every process; does no I/O."""
