"""Named after the distribution, so that Airflow 3.3 finds something when it looks for a provider's example DAGs there.

It derives a module's name from that of the distribution (apache/airflow issue 66305), and where there is none, every
log of every task begins with a traceback. The provider itself is `flora_provider`; nothing imports this module, which
holds no example DAGs.
"""
