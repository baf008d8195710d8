"""Commands as runs, and the progress bars of other libraries as bars of a run. Runs in the user's processes."""
