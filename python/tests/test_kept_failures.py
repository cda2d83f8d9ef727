"""Exceptions that are kept with a value: each raise has a copy of its own, and keeps nobody's variables."""

from __future__ import annotations

import asyncio
import builtins
import gc
import sys
import threading
import traceback
import weakref

import dask
import pytest

import mobula
import mobula.dask
from mobula._failure import copied


class Thing:
    """Something that weak references can be made to."""


@mobula.remote
def fail():
    raise LookupError("here")


@mobula.remote
class Failing:
    def fail(self):
        raise LookupError("here")

    async def fail_later(self):
        raise LookupError("here")


@mobula.remote
class Unborn:
    def __init__(self):
        raise LookupError("here")

    def call(self):
        pass


async def awaited(ref):
    return await ref


def of_a_function():
    ref = fail.remote()
    return ref, lambda: mobula.get(ref)


def of_an_actor():
    ref = Failing.remote().fail.remote()
    return ref, lambda: mobula.get([ref])


def of_an_actor_that_was_not_made():
    ref = Unborn.remote().call.remote()
    return ref, lambda: mobula.get(ref)


def of_a_coroutine():
    ref = Failing.remote().fail_later.remote()
    return ref, lambda: mobula.get(ref)


def by_await():
    ref = fail.remote()
    return ref, lambda: asyncio.run(awaited(ref))


def by_a_future():
    ref = fail.remote()
    return ref, lambda: ref.future().result()


def by_dependents():
    ref = mobula.remote(lambda x: x).remote(fail.remote())
    return ref, lambda: mobula.get(ref)


def persisted(scheduler):
    def persist():
        value = dask.delayed(fail._function)().persist(scheduler="mobula")
        return value, lambda: value.compute(scheduler=scheduler)

    return persist


WAYS = {
    "function": of_a_function,
    "actor": of_an_actor,
    "constructor": of_an_actor_that_was_not_made,
    "coroutine": of_a_coroutine,
    "await": by_await,
    "future": by_a_future,
    "dependents": by_dependents,
    "persisted": persisted("mobula"),
    "persisted, fetched": persisted("sync"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_failure_does_not_keep_the_variables_of_who_caught_it(way):
    gone = threading.Event()

    def user():
        thing = Thing()
        weakref.finalize(thing, gone.set)
        _kept, get = way()
        for _ in range(2):
            with pytest.raises((LookupError, mobula.exceptions.ActorDiedError)):
                get()
        return get()

    with pytest.raises((LookupError, mobula.exceptions.ActorDiedError)):
        user()
    for _ in range(300):
        gc.collect()
        if gone.wait(0.1):
            break
    assert gone.is_set()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_each_raise_has_a_traceback_of_its_own_that_does_not_grow(way):
    _kept, get = way()

    def once():
        with pytest.raises((LookupError, mobula.exceptions.ActorDiedError)) as caught:
            get()
        return caught.value, len(caught.traceback)

    (first, length), *others = [once() for _ in range(5)]
    assert all(type(other) is type(first) and str(other) == str(first) for other, _ in others)
    assert all(other is not first and count == length for other, count in others)
    inner = first.__cause__ or first
    last = traceback.extract_tb(inner.__traceback__)[-1]
    assert last.line == 'raise LookupError("here")'


class Strange(Exception):
    def __init__(self, one, two):
        super().__init__(f"bad {one}")
        self.two = two


class Slots(Exception):
    __slots__ = ("one", "two")

    def __init__(self):
        self.one = 1


class Named(Exception):
    def __new__(cls, *, name):
        return super().__new__(cls)

    def __init__(self, *, name):
        self.name = name


class File(OSError):
    def __init__(self, number):
        super().__init__(2, "no", "file")
        self.number = number


class Both(ValueError, OSError):
    pass


class Unchangeable(Exception):
    def __setattr__(self, name, value):
        raise RuntimeError(name)


def raised(program):
    with pytest.raises(BaseException) as caught:
        exec(program)
    return caught.value


OWN = (ValueError(), ValueError("x", 2), Strange(1, 2), Slots(), Named(name=1), File(3), Both("x"))
OF_PYTHON = """
open("/not/there")
import os; os.rename("/not/there", "/nor/there")
raise OSError("alone")
raise OSError(2, "two")
b"\\xff".decode()
"\\xff".encode("ascii")
int("x")
{}["key"]
[].nothing
nothing
import nothing_of_the_kind
from sys import nothing_of_the_kind
compile("a b", "file", "exec")
raise StopIteration(3)
raise SystemExit(4)
raise KeyboardInterrupt
"""
OF_PYTHON = tuple(raised(program) for program in OF_PYTHON.strip().splitlines())


def data(exception):
    """All that an exception says of itself."""
    names = {name for owner in type(exception).__mro__ for name in vars(owner)}
    values = {name: getattr(exception, name, None) for name in names if name[:2] != "__"}
    return {name: value for name, value in values.items() if not callable(value)}


@pytest.mark.parametrize("exception", [*OWN, Unchangeable("x"), *OF_PYTHON], ids=repr)
def test_a_copy_is_as_the_exception(exception):
    copy = copied(exception)
    assert copy is not exception and type(copy) is type(exception)
    assert (str(copy), repr(copy)) == (str(exception), repr(exception))
    assert copy.args == exception.args and data(copy) == data(exception)
    assert vars(copy) == vars(exception) and copy.__traceback__ is exception.__traceback__


def test_a_copy_has_the_same_cause_and_context():
    for suppressed in (False, True):
        for cause in (None, KeyError("cause")):
            error = ValueError()
            error.__cause__, error.__context__ = cause, IndexError("context")
            error.__suppress_context__ = suppressed
            copy = copied(error)
            assert copy.__cause__ is cause and copy.__context__ is error.__context__
            assert copy.__suppress_context__ is suppressed


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
def test_copies_of_notes_and_groups():
    error = ValueError()
    error.add_note("one")
    copied(error).add_note("two")
    assert copied(error).__notes__ == ["one"]

    class Group(builtins.ExceptionGroup):
        def __new__(cls, errors, code):
            self = super().__new__(cls, f"code {code}", errors)
            self.code = code
            return self

    group = Group([error], 7)
    copy = copied(group)
    assert copy is not group and str(copy) == str(group) and copy.code == 7
    assert copy.exceptions == (error,)


def test_what_has_no_copy_is_raised_itself():
    class Meta(type):
        @property
        def __base__(cls):
            raise RuntimeError("no base")

    class Odd(Exception, metaclass=Meta):
        pass

    odd = Odd()
    assert copied(odd) is odd
