"""Pictures of graphs, without Graphviz."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["Picture", "visualize"]


class Picture(str):
    """A picture as SVG text. Notebooks show it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self)


def visualize(
    *collections: Any,
    filename: str | os.PathLike[str] | None = None,
    color: str = "order",
    optimize_graph: bool = True,
    grouped_above: int = 2000,
) -> Picture:
    """Draw what a compute of these collections would run.

    Parameters
    ----------
    *collections
        Collections of Dask's, or lists of such.
    filename
        The file for the picture, if there is to be one. It is an SVG, and its name ends so.
    color
        What colours mean: the static ``"order"`` in which tasks are preferred, or the key ``"prefix"``. What
        tasks took, or made, is known after a run: ``profile.recording.visualize(color="time")``.
    optimize_graph
        Whether to draw the graph as it runs, or as it was written.
    grouped_above
        Above so many tasks there is a box for each key prefix, and not for each task.

    Examples
    --------
    >>> import dask, mobula
    >>> x = dask.delayed(sum)([1, 2])
    >>> mobula.visualize(x)[:4]
    '<svg'
    """
    from mobula.dask import _drawn

    if filename is not None and not os.fsdecode(filename).lower().endswith(".svg"):
        name = os.fsdecode(filename)
        raise ValueError(f"the picture is an SVG: name it `.svg`, not {name!r}")
    if color in ("time", "memory"):
        raise ValueError(
            f"color={color!r} is known after a run: "
            "`with mobula.profile() as profile: ...`, "
            f"then `profile.recording.visualize(color={color!r})`"
        )
    text = _drawn.drawn(collections, color, optimize_graph, grouped_above)
    picture = Picture(text)
    if filename is not None:
        picture.save(filename)
    return picture
