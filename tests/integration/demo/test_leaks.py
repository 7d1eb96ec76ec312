import sqlite3
from contextlib import closing

from demo import leaks

SECRET = "sk_test_secret"


def test_secret_is_found_in_any_file_below_the_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "leaky.log").write_bytes(b"\xff header: Bearer sk_test_secret\n")
    (tmp_path / "clean.log").write_text("header: Bearer ***\n")
    assert leaks.files_with(SECRET, tmp_path) == [tmp_path / "deep" / "leaky.log"]


def test_secret_is_found_in_text_json_and_blobs_of_a_database(tmp_path):
    database = tmp_path / "airflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE xcom (key TEXT, value JSON, pickled BLOB, attempts INTEGER)")
        connection.execute("INSERT INTO xcom VALUES ('clean', '{}', x'00', 1)")
        row = ("leaky", f'{{"a": "{SECRET}"}}', f"\0{SECRET}".encode())
        connection.execute("INSERT INTO xcom VALUES (?, ?, ?, 2)", row)
    assert leaks.columns_with(SECRET, database) == ["xcom.value", "xcom.pickled"]
    assert leaks.columns_with("another", database) == []
