"""Retry policies of Airflow 3.3 and newer."""
