"""Lean transformer blocks for the CPU: the library's models, computed with less."""
