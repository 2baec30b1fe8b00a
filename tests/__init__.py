"""Tests, and the real components that they run against."""
