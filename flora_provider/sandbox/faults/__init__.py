"""Faults: what goes wrong, with which calls, and how often.

A list of faults is a script: each call meets the first fault that matches it and is not used up, so `times` after
`times` is a sequence, `skip` lets calls pass first, and `rate` hits a share of them. The same JSON goes into a file for
`python -m flora_provider.sandbox --faults FILE`, to `POST /_sandbox/faults`, and, as `Fault(...)`, into
`sandbox.faults.add`. Members that are left out have their defaults; see `Fault` for all of them.

The next three runs are created, and their answers lost::

    [{"route": "/generate", "method": "POST", "times": 3, "after": true, "delivery": "drop"}]

Two starts meet the rate limit, the third is created and answered with a 500, the fourth is fine::

    [{"route": "/generate", "status": 429, "headers": {"retry-after": "1"}, "times": 2},
     {"route": "/generate", "status": 500, "after": true}]

A bad day: each tenth call fails, each twentieth start loses its answer, every fifth run fails in a way to retry::

    [{"rate": 0.05, "times": null, "route": "/generate", "delivery": "drop", "after": true},
     {"rate": 0.2, "times": null, "route": "/generate", "behavior": {"error_family": "retry_now"}},
     {"rate": 0.1, "times": null, "status": 503}]

An outage after twenty polls, for a minute on the sandbox's clock, which starts when the list is sent::

    [{"route": "/runs/{run_id}", "skip": 20, "times": null, "seconds": 60, "status": 502, "body": "<html>",
      "content_type": "text/html"}]

Slow days: every answer takes two seconds, and a page of the history is cut off now and then::

    [{"route": "/generations", "delivery": "cut", "rate": 0.1, "times": null}, {"delay": 2, "times": null}]
"""

from flora_provider.sandbox.faults.faults import Fault, Faults

__all__ = ["Fault", "Faults"]
