"""Drift: reference windows against current ones, by effect size."""
