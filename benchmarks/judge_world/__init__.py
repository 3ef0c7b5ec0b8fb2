"""The bundled judge on the bundled world: ``python -m benchmarks.judge_world``."""
