"""A client of a FLORA on a port, and an S3 on another one."""

import json
from contextlib import suppress

import pytest

from flora_provider.api.client import FloraClient
from tests.support.airflow_features import OBJECT_STORES
from tests.support.media import media_host


@pytest.fixture
def flora(flora_sandbox):
    """A client of a FLORA on a port of its own; it gives the key to no other host."""
    with FloraClient(api_key=flora_sandbox.sandbox.api_key, base_url=flora_sandbox.base_url, max_retries=1) as client:
        yield client
    assert flora_sandbox.sandbox.stats()["keys_leaked"] == {"media": 0, "storage": 0}


@pytest.fixture(scope="session")
def s3_url():
    """The address of an S3 of moto's, which serves this session."""
    pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url, monkeypatch):
    """Airflow's connection `aws_files` to that S3, with an empty bucket `shop`; a client of boto3's."""
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=s3_url, **keys)
    for bucket in client.list_buckets()["Buckets"]:
        for item in client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            client.delete_object(Bucket=bucket["Name"], Key=item["Key"])
        client.delete_bucket(Bucket=bucket["Name"])
    client.create_bucket(Bucket="shop")
    connection = {
        "conn_type": "aws",
        "login": "testing",
        "password": "testing",
        "extra": {"endpoint_url": s3_url, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_FILES", json.dumps(connection))
    monkeypatch.setattr(OBJECT_STORES, "_STORE_CACHE", {})
    return client


@pytest.fixture
def media():
    """A host of files on this machine."""
    with media_host() as host:
        yield host


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    """A folder on this machine, and one in an S3."""
    if request.param == "local":
        return LocalStore(tmp_path / "out")
    return S3Store(request.getfixturevalue("s3"))


@pytest.fixture
def s3_store(s3):
    """A folder in an S3."""
    return S3Store(s3)


class LocalStore:
    """A folder: where it is, and what is in it by name."""

    def __init__(self, folder):
        self.folder, self.path = folder, str(folder)

    def names(self):
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()

    def sizes(self):
        found = {}
        for name in self.names():
            with suppress(FileNotFoundError):  # a temporary file that is gone
                found[name] = (self.folder / name).stat().st_size
        return found

    def read(self, name):
        return (self.folder / name).read_bytes()

    def write(self, name, content):
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(content)


class S3Store:
    """The same, in a bucket."""

    def __init__(self, client):
        self.client, self.folder, self.path = client, "s3://aws_files@shop/out", "s3://shop/out"

    def names(self):
        return set(self.sizes())

    def sizes(self):
        found = self.client.list_objects_v2(Bucket="shop", Prefix="out/").get("Contents", [])
        return {item["Key"].removeprefix("out/"): item["Size"] for item in found}

    def read(self, name):
        return self.client.get_object(Bucket="shop", Key=f"out/{name}")["Body"].read()

    def write(self, name, content):
        self.client.put_object(Bucket="shop", Key=f"out/{name}", Body=content)
