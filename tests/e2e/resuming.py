"""Tasks that need a worker after their wait, as every task does that has something to do then."""

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor


class BusyAfterwards:
    def post_execute(self, context, result=None):
        """Nothing, but in a worker."""


class ResumingGenerateOperator(BusyAfterwards, FloraGenerateOperator):
    pass


class ResumingSensor(BusyAfterwards, FloraRunSensor):
    pass
