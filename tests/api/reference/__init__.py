"""Every endpoint as FLORA's reference shows it.

An example is how a call is made, its request line, the JSON that is sent (None for none, or for a form), and the JSON
that comes back.
"""

from tests.api.reference import assets, catalogue, runs

EXAMPLES = [*runs.EXAMPLES, *catalogue.EXAMPLES, *assets.EXAMPLES]
