"""The operators that start runs, under one import path. Cheap to import: the HTTP client is loaded when a task runs."""

from __future__ import annotations

from flora_provider.operators.action import FloraRunActionOperator
from flora_provider.operators.batch import FloraGenerateBatchOperator
from flora_provider.operators.generate import FloraGenerateOperator
from flora_provider.operators.technique import FloraRunTechniqueOperator

__all__ = ["FloraGenerateBatchOperator", "FloraGenerateOperator", "FloraRunActionOperator", "FloraRunTechniqueOperator"]
