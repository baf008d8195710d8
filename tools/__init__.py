"""What the Makefile runs: `install` (the environment), `packages` (browser and servers), `run` (the dashboards)."""
