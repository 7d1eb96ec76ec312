import pytest

from tests.support.polling_simulation import Simulation


@pytest.fixture
def simulation():
    return Simulation()
