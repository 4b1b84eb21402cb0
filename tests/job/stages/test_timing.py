"""The timing column: beside the rows on their way, off them before they are committed."""

import pyarrow as pa

from job.stages.timing import attach, detach

ROWS = pa.table({"row": [0, 1, 2]})


def test_figures_come_off_as_they_went_on_and_the_rows_are_what_they_were():
    rows, figures = detach(attach(ROWS, {"read_s": 0.5}))
    assert rows.equals(ROWS)
    assert figures == [{"read_s": 0.5}]


def test_joined_tables_give_the_figures_of_each():
    joined = pa.concat_tables([attach(ROWS, {"read_s": 1.0}), attach(ROWS, {"read_s": 2.0})])
    rows, figures = detach(joined)
    assert rows.num_rows == 6
    assert figures == [{"read_s": 1.0}, {"read_s": 2.0}]


def test_a_table_without_the_column_or_without_rows_has_no_figures():
    assert detach(ROWS) == (ROWS, [])
    empty, figures = detach(attach(ROWS.slice(0, 0), {"read_s": 1.0}))
    assert (empty.num_rows, empty.column_names, figures) == (0, ["row"], [])
