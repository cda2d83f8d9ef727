"""`init` and the session: what begins and ends it, which settings there are, what is said of wrong ones."""

from __future__ import annotations

import warnings

import pytest
from remotes import run

import mobula


def test_the_session_begins_and_ends():
    program = """
import mobula
print(mobula.is_initialized())
mobula.init(num_cpus=1)
print(mobula.is_initialized())
mobula.init(num_cpus=2, ignore_reinit_error=True)
try:
    mobula.init()
except RuntimeError as error:
    print("already" in str(error))
mobula.shutdown()
print(mobula.is_initialized())
print(mobula.get(mobula.put(1)), mobula.is_initialized())
"""
    assert run(program).split() == ["False", "True", "True", "False", "1", "True"]


def test_init_names_what_has_no_effect_and_refuses_what_is_unknown():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mobula.IgnoredWarning)
        mobula.init(ignore_reinit_error=True, address="auto")
    with pytest.warns(mobula.IgnoredWarning, match=r"address, num_gpus: .*init\(\)") as warned:
        mobula.init(ignore_reinit_error=True, num_gpus=0, address="auto")
    assert warned[0].filename == __file__
    with pytest.raises(TypeError, match="num_cpu'"):
        mobula.init(num_cpu=1)
    mobula.shutdown()


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (ValueError, "num_cpus must be a whole number, 1 or more, not 0", {"num_cpus": 0}),
        (ValueError, "num_cpus must be a whole number, 1 or more, not -1", {"num_cpus": -1}),
        (ValueError, "num_cpus must be a whole number, 1 or more, not -1", {"num_cpus": -(10**30)}),
        (ValueError, "num_cpus is too large", {"num_cpus": 10**30}),
        (TypeError, "num_cpus must be a whole number, 1 or more, not 'x'", {"num_cpus": "x"}),
        (TypeError, "num_cpus must be a whole number, 1 or more, not 2.5", {"num_cpus": 2.5}),
        (TypeError, "num_workers must be a whole number, 1 or more, not 2.5", {"num_workers": 2.5}),
        (ValueError, "num_workers must be a whole number, 1 or more, not 0", {"num_workers": 0}),
        (TypeError, "give one of them", {"num_cpus": 1, "num_workers": 2}),
        (ValueError, "workers=5: there are", {"workers": 5}),
        (TypeError, "readonly must be True or False, not 'yes'", {"readonly": "yes"}),
        (TypeError, "log_to_driver must be True or False, not 0", {"log_to_driver": 0}),
        (TypeError, "preimport must be a list of modules, by name, not 'os'", {"preimport": "os"}),
        (TypeError, r"preimport must be a list .*, not \[1\]", {"preimport": [1]}),
        (TypeError, "preimport must be a list .*, not 5", {"preimport": 5}),
        (ValueError, "preimport='nowhere': there is no module", {"preimport": ["os", "nowhere"]}),
        (ValueError, "preimport='nowhere.to': there is no module", {"preimport": ["nowhere.to"]}),
        (ValueError, "preimport='': there is no module", {"preimport": [""]}),
        (TypeError, r"memory_limit must be .*, not \[1\]", {"memory_limit": [1]}),
        (ValueError, "memory_limit='x': .*number", {"memory_limit": "x"}),
        (ValueError, "memory_limit=-5: .*more than nothing", {"memory_limit": -5}),
        (TypeError, "max_spill must be .*, not 1.5", {"max_spill": 1.5}),
        (ValueError, "max_spill must be .*, not -1", {"max_spill": -1}),
        (ValueError, "max_spill='50%': a size is needed", {"max_spill": "50%"}),
        (ValueError, "max_spill='1 elephant': .*unit", {"max_spill": "1 elephant"}),
        (TypeError, "spill_directory must be a path, not 5", {"spill_directory": 5}),
        (TypeError, "shared_directory must be a path, not 5", {"shared_directory": 5}),
    ],
)
def test_init_says_what_is_wrong(error, message, settings):
    mobula.shutdown()
    with pytest.raises(error, match=message):
        mobula.init(**settings)
    assert not mobula.is_initialized()


def test_init_takes_what_is_written_in_other_ways(tmp_path):
    mobula.shutdown()
    mobula.init(1, spill_directory=tmp_path / "one" / "two", max_spill="1GB", memory_limit=0.5)
    assert (tmp_path / "one" / "two").is_dir()
    mobula.shutdown()
    mobula.init(spill_directory=str(tmp_path), max_spill="none", memory_limit="none")
    mobula.shutdown()
    mobula.init(max_spill=10**9, memory_limit=10**9)
    mobula.shutdown()


def test_init_takes_an_address_in_the_first_place_as_ray_does():
    mobula.shutdown()
    for address in ("auto", "local", "ray://somewhere:10001"):
        with pytest.warns(mobula.IgnoredWarning, match="address: without effect"):
            mobula.init(address)
        assert mobula.is_initialized()
        mobula.shutdown()


def test_init_tells_of_a_spill_directory_that_cannot_be_used(tmp_path):
    mobula.shutdown()
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below", ""):
        with pytest.raises(OSError, match="spill_directory cannot be used") as caught:
            mobula.init(spill_directory=directory)
        assert caught.value.filename == str(directory)
    assert not mobula.is_initialized()


def test_init_makes_no_shared_directory(tmp_path):
    mobula.shutdown()
    (tmp_path / "file").write_text("")
    for name, why in (("typo", "No such file or directory; make it"), ("file", "Not a directory")):
        with pytest.raises(OSError, match=f"shared_directory cannot be used: {why}") as caught:
            mobula.init(shared_directory=tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    assert not (tmp_path / "typo").exists()
    assert not mobula.is_initialized()
