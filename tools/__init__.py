"""The tools of the Makefile: `install` makes the environment, `packages` installs a browser and servers."""
