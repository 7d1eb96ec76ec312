"""A named budget in USD that tasks of many DAG runs share; nothing is started that might pass it.

    from flora_provider.budget import FloraBudget

    budget = FloraBudget("campaign", limit_usd=50, period="month", store="s3://aws_default@bucket/budgets")

What is reserved and spent stands in a folder, as small files that are only ever added: nothing is read, changed and
written back, so no update can be lost, and there is no lock to wait for or to leave behind.
"""

from flora_provider.budget.definition import FloraBudget

__all__ = ["FloraBudget"]
