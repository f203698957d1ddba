"""Adaptation of a trained model to a user's own images."""
