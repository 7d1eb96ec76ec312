"""A DAG that is written in YAML, by dag-factory, uses every operator."""

import os

import pytest
from PIL import Image

from flora_provider.files import read_manifest
from tests.support.airflow_tasks import succeeded, tries

os.environ["DO_NOT_TRACK"] = "true"  # before it is imported: it tells its makers what it is used for
dagfactory = pytest.importorskip("dagfactory", reason="it is installed with the newest wheel: make matrix")

DAG_FILE = """
default:
  default_args:
    start_date: 2026-01-01
  schedule: null

yaml_pipeline:
  template_searchpath: [{folder}]
  render_template_as_native_obj: true
  tasks:
    reference:
      operator: flora_provider.transfers.object_storage.ObjectStorageToFloraOperator
      source: {folder}/fern.png
    picture:
      operator: flora_provider.operators.flora.FloraGenerateOperator
      type: image
      prompt: fern.md
      model: i2i-flux-kontext
      model_params:
        image_url: "{{{{ ti.xcom_pull('reference') }}}}"
      dependencies: [reference]
    finished:
      operator: flora_provider.sensors.flora.FloraRunSensor
      run_id: "{{{{ ti.xcom_pull('picture') }}}}"
      poke_interval: 0.05
      dependencies: [picture]
    camera:
      operator: flora_provider.operators.flora.FloraRunTechniqueOperator
      technique: cctv-cam
      inputs:
        input_image: "{{{{ ti.xcom_pull('finished') }}}}"
      wait_for_completion: true
      poll_interval: 0.05
      dependencies: [finished]
    clip:
      operator: flora_provider.operators.flora.FloraRunActionOperator
      action_id: ken-burns-video
      inputs: "{{{{ ti.xcom_pull('camera') }}}}"
      action_params: {{duration: 2}}
      wait_for_completion: true
      poll_interval: 0.05
      dependencies: [camera]
    saved:
      operator: flora_provider.transfers.object_storage.FloraToObjectStorageOperator
      run: "{{{{ ti.xcom_pull('clip') }}}}"
      destination: {folder}/saved
      dependencies: [clip]
    mapped:
      operator: flora_provider.operators.flora.FloraGenerateOperator
      partial: {{type: text}}
      expand: {{prompt: [one, two]}}
"""


def test_dag_in_yaml_uses_every_operator(run_dag, flora, tmp_path):
    flora.sandbox.settings.speed = 1000
    Image.new("RGB", (8, 8)).save(tmp_path / "fern.png")
    (tmp_path / "fern.md").write_text("A fern\n")
    (tmp_path / "dag.yaml").write_text(DAG_FILE.format(folder=tmp_path))
    made = {}
    dagfactory.load_yaml_dags(globals_dict=made, config_filepath=str(tmp_path / "dag.yaml"))

    result = run_dag(made["yaml_pipeline"])

    assert succeeded(result), tries(result)
    [manifest] = [read_manifest(path) for path in (tmp_path / "saved").glob("*.json")]
    assert (manifest.action, manifest.kind) == ("ken-burns-video", "action")
    assert {run.request.prompt for run in flora.runs} >= {"A fern", "one", "two"}
