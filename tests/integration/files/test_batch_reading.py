"""The rows of a batch from files: CSV, JSON Lines and Parquet, on this machine and in an S3."""

import csv
import datetime as dt
import io
import json
import os
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from flora_provider.api.errors import FloraInputError, FloraStorageError
from flora_provider.batch.reading import read_requests, source_name
from tests.support.batches import rows_of

ROWS = [{"type": "image", "prompt": "a fern"}, {"type": "video", "prompt": "mos\u2009ß 🌿"}]
JSON_LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
CSV = "type,prompt\nimage,a fern\nvideo,mos\u2009ß 🌿\n".encode()


def parquet_bytes(columns, **types):
    schema = pa.schema([(name, types[name]) for name in columns]) if types else None
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns, schema=schema), buffer)
    return buffer.getvalue()


PARQUET = parquet_bytes({name: [row[name] for row in ROWS] for name in ("type", "prompt")})


@pytest.fixture
def read(tmp_path):
    """Read the rows of a file with this content."""

    def read(content, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return read_requests(path)

    return read


@pytest.fixture
def problems(read):
    """What is wrong with a file of this content; the path, which each problem begins with or names, left out."""

    def problems(content, name="rows.csv"):
        with pytest.raises(FloraInputError) as caught:
            read(content, name)
        assert all(name in problem or problem.endswith(" more") for problem in caught.value.problems)
        return [problem.partition(name)[2].removeprefix(": ") for problem in caught.value.problems]

    return problems


FORMATS = [("a.csv", CSV), ("a.jsonl", JSON_LINES), ("a.ndjson", JSON_LINES), ("a.parquet", PARQUET), ("A.CSV", CSV)]


@pytest.mark.parametrize(("name", "content"), FORMATS)
def test_each_format_is_read_from_each_store(store, name, content):
    store.write(name, content)
    assert read_requests(f"{store.folder}/{name}") == ROWS
    assert [row.number for row in rows_of(read_requests(f"{store.folder}/{name}"), {})] == [1, 2]


@pytest.mark.parametrize(("name", "content"), FORMATS)
def test_object_store_is_read_by_the_connection_that_is_named_beside_it(s3, name, content):
    s3.put_object(Bucket="shop", Key=name, Body=content)
    assert read_requests(f"s3://shop/{name}", conn_id="aws_files") == ROWS


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_object_store_is_asked_once_for_a_block(s3_store, monkeypatch, name):
    from s3fs import S3File

    reads = []
    fetch = S3File._fetch_range  # noqa: SLF001 - what sends a request
    monkeypatch.setattr(S3File, "_fetch_range", lambda file, *args: reads.append(args) or fetch(file, *args))
    row = f"{'x' * 100}\n" if name == "a.csv" else json.dumps({"prompt": "x" * 100}) + "\n"
    content = b"prompt\n" * name.endswith("csv") + row.encode() * 50_000
    s3_store.write(name, content)
    assert len(read_requests(f"{s3_store.folder}/{name}")) == 50_000
    assert len(reads) <= len(content) / 2**22 + 2


def test_local_file_is_read_by_path_and_by_uri(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    assert read_requests(tmp_path / "a.csv") == read_requests((tmp_path / "a.csv").as_uri()) == ROWS


@pytest.mark.parametrize("name", ["a.txt", "a", ".csv", "a.csv.gz", "a.json", "s3://shop/"])
def test_other_ending_is_refused_with_the_known_ones(name):
    with pytest.raises(FloraInputError, match=r"ends with \.csv, \.jsonl, \.ndjson, \.parquet"):
        read_requests(name)


@pytest.mark.parametrize("source", [None, "", 7, "None", "no\0.csv"], ids=repr)
def test_source_that_is_no_path_is_refused(source):
    with pytest.raises(FloraInputError, match=r"requests is .*: give a path"):
        read_requests(source)


@pytest.mark.parametrize("name", ["none.csv", "no-folder/none.csv", "none.parquet"])
def test_missing_file_is_refused(store, name):
    with pytest.raises(FloraInputError, match=rf"requests is \S+{name}: there is no such file; check the path"):
        read_requests(f"{store.folder}/{name}")


def test_missing_bucket_is_refused(s3):
    with pytest.raises(FloraInputError, match=r"requests is s3://none/a\.csv: there is no such file"):
        read_requests("s3://aws_files@none/a.csv")


def test_folder_instead_of_a_file_is_refused(store):
    if store.path.startswith("s3"):
        store.write("a.csv/b.csv", CSV)
    else:
        (store.folder / "a.csv").mkdir(parents=True)
    with pytest.raises(FloraInputError, match=r"a\.csv, which is a folder, or no plain file: give the path of a file"):
        read_requests(f"{store.folder}/a.csv")


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(FloraInputError, match="or no plain file"):
        read_requests(tmp_path / "a.csv")


def test_file_that_breaks_while_it_is_read_is_a_storage_error(tmp_path, monkeypatch):
    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    (tmp_path / "a.csv").write_bytes(CSV)
    monkeypatch.setattr("flora_provider.files.storage.LocalFolder.open", lambda *_: Broken())
    with pytest.raises(FloraStorageError, match=r"cannot read \S+a\.csv: OSError: .*Input/output error"):
        read_requests(tmp_path / "a.csv")


def test_file_of_more_than_256_mib_is_refused(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(257 * 1024**2)
    with pytest.raises(FloraInputError, match="which has 257 MiB: split it into files of at most 256 MiB"):
        read_requests(tmp_path / "a.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_file_of_too_many_rows_is_refused(problems, ending):
    count = 100_001
    contents = {
        "csv": b"prompt\n" + b"a\n" * count,
        "jsonl": b"{}\n" * count,
        "parquet": parquet_bytes({"prompt": ["a"] * count}),
    }
    (problem,) = problems(contents[ending], f"rows.{ending}")
    assert problem == ", which has more than 100,000 rows: split it, for several batches"


def test_csv_is_read_as_rfc_4180_has_it(read):
    content = b'\xef\xbb\xbftype,"prompt"\r\nimage,"a ""fern"",\r\nin the rain"\r\n\r\nvideo,\r\n'
    assert read(content) == [{"type": "image", "prompt": 'a "fern",\r\nin the rain'}, {"type": "video", "prompt": ""}]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(cells, cells), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_that_python_writes_is_read_back(tmp_path, table):
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("prompt", "type"), *table])
    expected = [{"prompt": first, "type": second} for first, second in table]
    assert read_requests(tmp_path / "a.csv") == expected


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("7", 7),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ('"[1, ""a""]"', [1, "a"]),
        ('"{""a"": 1}"', {"a": 1}),
        ("", ""),
        ("True", "True"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("16:9", "16:9"),
        ('"""7"""', '"7"'),
        ("[verse] la la", "[verse] la la"),
        ("9" * 5000, "9" * 5000),
        ("[" * 9000, "[" * 9000),
    ],
)
def test_csv_cell_of_a_parameter_is_what_json_reads_it_as(read, cell, value):
    (row,) = read(f"prompt,model_params.a\n7,{cell}\n".encode())
    assert row == {"prompt": "7", "model_params.a": value}
    assert type(row["model_params.a"]) is type(value)


def test_csv_column_model_params_is_left_to_the_rules(read):
    assert read(b'model_params\n"{""seed"": 7}"\n') == [{"model_params": '{"seed": 7}'}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", " has no header: begin it with the names of its columns, such as type,prompt"),
        (b"\n\r\n", " has no header: begin it with the names of its columns, such as type,prompt"),
        (b"type,prompt,type\n", "'type' is the name of several columns: keep one of them"),
        (b"type,,prompt\n", "a column has no name: name it, or remove it"),
        (b"type;prompt\nimage;a\n", " has the header 'type;prompt': separate its columns by commas"),
        (b'a,b\n1,2\n1\n1,2,3\n"1",2,3\n', "row 2: it has 1 cells, but the header has 2: see its quotes"),
        (b'a,b\n1,"2" 3\n', " line 2 is no CSV (',' expected after '\"'): see its quotes"),
        (b'a,b\n1,"2\n', " line 2 is no CSV (unexpected end of data): see its quotes"),
        (b"a\n" + b"x" * 200_000, " line 2 is no CSV (field larger than field limit (131072)): see its quotes"),
        (b"a,b\n1,\xff\n", "line 2 is not UTF-8: save the file as such (Excel calls it CSV UTF-8)"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1 is not UTF-8: save the file as such (Excel calls it CSV UTF-8)"),
        (b"a,b\r1,2\r", "line 1 is no CSV (new-line character seen in unquoted field): see its quotes"),
    ],
    ids=repr,
)
def test_csv_that_cannot_be_right_is_refused(problems, content, problem):
    assert problems(content)[0].strip() == problem.strip()


def test_all_csv_rows_of_another_length_are_named(problems):
    content = b"a,b\n1,2\n1\n1,2,3\n" + b"1\n" * 9
    assert [problem.partition(":")[0] for problem in problems(content)] == ["rows 2, 4, 5 and 7 more", "row 3"]


def test_csv_with_a_header_only_has_no_rows(read):
    assert read(b"type,prompt\n") == []


def test_json_lines_keep_types_and_skip_blank_lines(read):
    content = b'\xef\xbb\xbf{"prompt": "a"}\r\n\n  \n{"model_params": {"seed": 7, "a": null}, "x": "7"}'
    assert read(content, "a.jsonl") == [{"prompt": "a"}, {"model_params": {"seed": 7, "a": None}, "x": "7"}]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            b"{",
            "it is no JSON (Expecting property name enclosed in double quotes at character 2): write one object a line",
        ),
        (b"[1]", "it is no JSON object: write one object a line"),
        (b'{"a": NaN}', "it is no JSON (NaN is no JSON number): write one object a line"),
        (b'{"a": 1e999}', "it is no JSON (1e999 is too large a number): write one object a line"),
        (b'{"a": 1, "a": 2}', "it is no JSON ('a' is there twice): write one object a line"),
        (b'{"a": "\xff"}', "it is not UTF-8: save the file as such"),
        (b"[" * 100_000, "it is no JSON (it is nested too deeply): write one object a line"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_json_line_that_is_no_object_is_refused_with_its_number(problems, line, problem):
    assert problems(b"\n{}\n" + line + b"\n{}\n", "a.jsonl") == [f"line 3: {problem}"]


def test_all_json_lines_that_are_wrong_are_named(problems):
    content = b"[]\n{}\n" + b"[]\n" * 9 + b"x\n"
    assert [p.partition(":")[0] for p in problems(content, "a.jsonl")] == ["lines 1, 3, 4 and 7 more", "line 12"]


def test_parquet_keeps_types(read):
    columns = {
        "prompt": ["a", None],
        "model_params": [{"seed": 7, "size": None}, None],
        "model_params.steps": [4, None],
        "model_params.map": [[("a", 1)], None],
        "model_params.list": [["x"], []],
    }
    types = {
        "prompt": pa.dictionary(pa.int8(), pa.string()),
        "model_params": pa.struct([("seed", pa.int64()), ("size", pa.string())]),
        "model_params.steps": pa.int32(),
        "model_params.map": pa.map_(pa.string(), pa.int64()),
        "model_params.list": pa.list_(pa.string()),
    }
    first, second = read(parquet_bytes(columns, **types), "a.parquet")
    assert first == {
        "prompt": "a",
        "model_params": {"seed": 7, "size": None},
        "model_params.steps": 4,
        "model_params.map": {"a": 1},
        "model_params.list": ["x"],
    }
    assert second == dict.fromkeys(columns) | {"model_params.list": []}
    (row,) = rows_of([first], {"type": "image"})
    assert row.fields["model_params"] == {"seed": 7, "steps": 4, "map": {"a": 1}, "list": ["x"]}


def test_parquet_date_is_refused_by_the_rules(read):
    rows = read(parquet_bytes({"model_params.day": [dt.date(2026, 11, 27)]}), "a.parquet")
    with pytest.raises(FloraInputError, match=r"row 1: this cannot be sent as JSON: model_params\.day is datetime"):
        rows_of(rows, ROWS[0])


def two_columns_of_one_name():
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["prompt", "prompt"]), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", " is no Parquet file that can be read ("),
        (b"type,prompt\n" * 10, " is no Parquet file that can be read ("),
        (PARQUET[:-20], " is no Parquet file that can be read ("),
        (two_columns_of_one_name(), "'prompt' is the name of several columns: keep one of them"),
        (parquet_bytes({"": ["a"]}), "a column has no name: name it, or remove it"),
        (
            parquet_bytes({"a": [[("x", 1), ("x", 2)]]}, a=pa.map_(pa.string(), pa.int64())),
            " is no Parquet file that can be read (",
        ),
    ],
    ids=["empty", "csv", "cut", "duplicate", "nameless", "map"],
)
def test_parquet_that_cannot_be_right_is_refused(problems, content, problem):
    (found,) = problems(content, "a.parquet")
    assert found.strip().startswith(problem.strip())


def test_parquet_without_pyarrow_says_what_to_install(problems, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (problem,) = problems(PARQUET, "a.parquet")
    assert "install airflow-provider-flora[parquet], or give the rows as CSV or JSON Lines" in problem


def test_messages_show_no_password_of_an_address(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_USER:SECRET", "aws://")
    with pytest.raises(FloraInputError) as caught:
        read_requests("s3://user:secret@shop/a.txt?sig=secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("s3://user:secret@shop/a.csv?sig=secret", "s3://shop/a.csv?…"),
        (Path("/data/a.csv"), "/data/a.csv"),
        ("a b.csv", "a b.csv"),
    ],
)
def test_name_of_a_source_shows_no_secret(source, name):
    assert source_name(source) == name


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_file_is_held_once(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    prompts = [f"{number} {'x' * 1000}" for number in range(20_000)]
    lines = [json.dumps({"prompt": prompt}) for prompt in prompts] if ending == "jsonl" else ["prompt", *prompts]
    path.write_text("\n".join(lines))
    tracemalloc.start()
    try:
        rows = read_requests(path)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == len(prompts)
    assert peak < held + 8_000_000
    assert held < path.stat().st_size * 1.5
