"""What the Makefile runs: `install` (the environment), `browser` (Chromium), `run` (the dashboards)."""
