"""Predictions on a user's own images: CSV, text, contact sheet."""
