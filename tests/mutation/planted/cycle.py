"""Faults in what one cycle hands to the next, and to its stages."""

FAULTS = {
    "controller-forgotten-between-cycles": (
        "rlaif/cycle/training.py",
        "return _held(ctx, report.beta), report.controller",
        "return _held(ctx, report.beta), {}",
    ),
    "reference-is-always-the-base": (
        "rlaif/cycle/training.py",
        'BASE if ctx.config.ppo.reference == "base" else ctx.incumbent',
        "BASE",
    ),
    "held-out-answers-train": (
        "rlaif/cycle/training.py",
        "read_examples(path, held_out)",
        "read_examples(path, ())",
    ),
}
