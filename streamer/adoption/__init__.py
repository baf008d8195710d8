"""Bars that other libraries draw, adopted: `inside` finds them in each process, `collector` brings them together."""
