"""FLORA's runs and projects as Airflow's assets."""
