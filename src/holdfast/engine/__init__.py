"""Executors of the one protocol: label these noisy copies."""
