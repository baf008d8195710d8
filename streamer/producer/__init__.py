"""The reporting side of running code: it counts, logs and publishes. Runs in the user's process."""
