"""A pipeline's parameters as JSON: their schema, reading, writing. Runs in every process; does no I/O."""
