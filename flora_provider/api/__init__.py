"""FLORA over HTTP. Nothing here knows Airflow."""
