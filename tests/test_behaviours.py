"""The catalogue of behaviours claims what the tests show, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviours import CATALOGUE, Citation, citations, rows, with_tests

ROWS = """
   * - D1
     - The first event reaches the client
       at once.
     -
   * - K4
     - No beat after the end.
     - | ``tests/gone.py``
       | ``tests/test_old.py``
"""


@pytest.fixture(scope="module")
def cited() -> list[Citation]:
    """What this project's tests cite."""
    return citations()


@pytest.fixture(scope="module")
def catalogue() -> str:
    """This project's catalogue."""
    return CATALOGUE.read_text(encoding="utf-8")


def test_every_behaviour_that_is_claimed_has_a_test(catalogue: str, cited: list[Citation]) -> None:
    claimed = rows(catalogue).keys()
    assert claimed, "the catalogue's rows are not read any more"
    assert sorted(claimed - {citation.id for citation in cited}) == []


def test_every_behaviour_that_a_test_cites_is_in_the_catalogue(
    catalogue: str, cited: list[Citation]
) -> None:
    claimed = rows(catalogue).keys()
    assert [str(citation) for citation in cited if citation.id not in claimed] == []


def test_the_column_of_tests_is_what_make_behaviours_writes(
    catalogue: str, cited: list[Citation]
) -> None:
    assert with_tests(catalogue, cited) == catalogue, "run `make behaviours` and commit the result"


def test_the_column_is_written_from_the_citations_and_the_rest_is_left_alone() -> None:
    cited = [
        Citation("D1", "tests/test_b.py", "test_x"),
        Citation("D1", "tests/test_a.py", "test_y"),
        Citation("D1", "tests/test_a.py", "test_z"),
    ]
    written = with_tests(ROWS, cited)
    assert rows(written) == {
        "D1": "     - | ``tests/test_a.py``\n       | ``tests/test_b.py``\n",
        "K4": "     -\n",
    }
    assert "     - The first event reaches the client\n       at once.\n" in written
    assert with_tests(written, cited) == written


def test_citations_are_read_from_docstrings_of_functions_and_methods(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "test_some.py").write_text(
        "async def test_one():\n    'D3, K4: bytes out are bytes in.'\n"
        "class TestTwo:\n    def test_two(self):\n        '''K4: no beat.'''\n"
        "def test_three():\n    'Utf-8 has D3: nothing to do with it.'\n"
        "def helper():\n    'D3: not a test.'\n"
    )
    assert [f"{citation.id} {citation}" for citation in citations(tmp_path, tmp_path)] == [
        "D3 deep/test_some.py::test_one",
        "K4 deep/test_some.py::test_one",
        "K4 deep/test_some.py::TestTwo::test_two",
    ]


@pytest.mark.parametrize("docstring", ["D3/K4: slow.", "D3 and K4: slow.", "D3 slow."])
def test_a_malformed_citation_is_not_passed_over(tmp_path: Path, docstring: str) -> None:
    (tmp_path / "test_some.py").write_text(f"def test_one():\n    {docstring!r}\n")
    with pytest.raises(ValueError, match=r"test_some.py::test_one: begins with an id"):
        citations(tmp_path, tmp_path)


def test_a_behaviour_listed_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="D1 is listed twice"):
        rows(ROWS + ROWS)
