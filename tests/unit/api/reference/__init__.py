"""Every endpoint as FLORA's reference shows it.

An example is how a call is made, its request line, the JSON that is sent (None for none, or for a form), and the JSON
that comes back.
"""

from tests.unit.api.reference import assets, canvas, catalog, runs

EXAMPLES = [*runs.EXAMPLES, *catalog.EXAMPLES, *assets.EXAMPLES, *canvas.EXAMPLES]
