"""Shape checks on."""

from jaxtyping import install_import_hook

install_import_hook("rlaif.rl", "beartype.beartype")
