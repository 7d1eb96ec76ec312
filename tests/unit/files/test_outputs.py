"""What the files of a run are called."""

from hypothesis import given
from hypothesis import strategies as st

from flora_provider.files.outputs import DEFAULT_NAME, file_stems, name_problem

TEMPLATES = [DEFAULT_NAME, "{output_id}", "{type}-{index}{ext}", "same{ext}", "{run_id}"]
outputs = st.lists(
    st.fixed_dictionaries(
        {"output_id": st.text(min_size=1, max_size=200) | st.sampled_from(["a", "A", "a-1", "run_1"])}
    ),
    max_size=6,
)


@given(outputs, st.sampled_from(TEMPLATES))
def test_names_of_a_runs_files_differ_also_without_case_and_from_its_manifest(rows, template):
    stems = file_stems(template, "run_1", rows, taken="run_1")
    assert len({stem.casefold() for stem in [*stems, "run_1"]}) == len(rows) + 1
    assert all(stem == stem.strip(".-/\\") and "/" not in stem and len(stem) < 140 for stem in stems)


@given(outputs, st.sampled_from(TEMPLATES))
def test_names_are_the_same_at_each_try(rows, template):
    assert file_stems(template, "run_1", rows, taken="run_1") == file_stems(template, "run_1", rows, taken="run_1")


def test_values_are_not_templates_themselves():
    assert file_stems("{output_id}", "r", [{"output_id": "{run_id}"}], taken="r") != ["r"]


@given(st.text(max_size=50))
def test_template_is_refused_or_makes_names(template):
    if name_problem("file_name", template) is None:
        assert len(file_stems(template, "run_1", [{"output_id": "o"}] * 2, taken="run_1")) == 2
