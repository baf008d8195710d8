"""The append-only log of events. `base` says what a log is; the other modules are named after their technology."""
