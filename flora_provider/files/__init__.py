"""Save the outputs of runs as files, whole or not at all, with a manifest; read one back.

from flora_provider.files import read_manifest

for file in read_manifest("s3://aws_default@bucket/run_1.json").files:
    print(file.path, file.size)
"""

from flora_provider.files.manifest import RunManifest, SavedFile, read_manifest
from flora_provider.files.saving import save_run

__all__ = ["RunManifest", "SavedFile", "read_manifest", "save_run"]
