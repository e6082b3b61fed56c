"""Alerts: rules, their evaluation, notifications, budgets and objectives."""
