"""Shape checks on, and the random cases."""

import pytest
from golden_cases import Case, random_case
from jaxtyping import install_import_hook

install_import_hook("rlaif.rl", "beartype.beartype")


@pytest.fixture(params=range(6))
def case(request: pytest.FixtureRequest) -> Case:
    return random_case(request.param)
