import pytest

from tests.support.flows import FlowRunner


@pytest.fixture
def runner():
    return FlowRunner()


@pytest.fixture
def context(runner):
    return runner.context
