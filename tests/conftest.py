"""Shapes of the tensor mathematics are checked in every test, whichever imports it first."""

from jaxtyping import install_import_hook

install_import_hook("rlaif.rl", "beartype.beartype")
