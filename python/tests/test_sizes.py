"""Values weigh what they take."""

from __future__ import annotations

import pytest
from dask.sizeof import sizeof

from mobula.dask._sizes import size_of

pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

FRAME = pd.DataFrame({"a": np.arange(50_000), "b": np.arange(50_000) * 0.5, "c": ["text"] * 50_000})


@pytest.mark.parametrize(
    "value",
    [
        FRAME,
        FRAME.a,
        FRAME.set_index("a"),
        FRAME.set_index("c"),
        FRAME.groupby(["a", "b"]).count(),
        FRAME.astype({"c": object}),
        FRAME.astype({"c": "category"}),
        {part: FRAME.iloc[part::4] for part in range(4)},
        np.ones(100_000),
        [np.ones(1000)] * 3,
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_short_way_weighs_as_dask_does(value):
    assert size_of(value) == pytest.approx(sizeof(value), rel=0.1)


def test_a_frame_of_another_kind_is_asked_itself():
    class DataFrame:
        """Has the name alone."""

        __module__ = "pandas.elsewhere"

        def __sizeof__(self):
            return 12_345

    assert size_of(DataFrame()) >= 12_345
