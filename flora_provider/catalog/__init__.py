"""Checks a request against FLORA's catalog before it bills: models, techniques, actions. Knows no Airflow."""
