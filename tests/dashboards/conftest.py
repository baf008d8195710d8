"""Fixtures for tests of the dashboards."""
