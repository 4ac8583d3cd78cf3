import canary

from asyncimport.errors import ConfigError
from asyncimport.sources.faults import Faults, told


def refused(*faults: str) -> str:
    raise ConfigError("several", faults)


def one() -> str:
    raise ConfigError("one")


def test_faults_are_kept_in_the_order_found_each_once() -> None:
    faults = Faults()
    faults.add("b")
    assert faults.attempt(one) is None
    assert faults.attempt(lambda: refused("a", "b", "c")) is None
    assert faults.attempt(lambda: "made") == "made"
    assert faults.found == ["b", "one", "a", "c"]


def test_no_fault_is_no_error() -> None:
    Faults().raise_any()


def test_one_fault_is_a_sentence_and_several_are_lines() -> None:
    with canary.raises(ConfigError) as alone:
        Faults(["a"]).raise_any()
    assert (str(alone.value), alone.value.faults) == ("a", ("a",))
    with canary.raises(ConfigError) as both:
        Faults(["a", "b"]).raise_any()
    assert (str(both.value), both.value.faults) == ("2 faults:\n  a\n  b", ("a", "b"))


def test_a_screen_of_faults_is_shown_and_the_rest_is_counted() -> None:
    many = [f"fault {number}" for number in range(1_025)]
    assert told(many).splitlines() == ["1,025 faults:", *(f"  {each}" for each in many[:20]), "  and 1,005 more"]
    assert told(many[:20]).splitlines()[-1] == "  fault 19"
