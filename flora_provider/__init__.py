"""Apache Airflow provider for FLORA."""

__version__ = "0.1.0"
