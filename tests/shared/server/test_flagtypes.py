"""Each kind of value takes what is one, exactly, and says in a line what would be right where it is none."""

from fractions import Fraction

import click
import pytest

from shared.server.flagtypes import DEFAULT_PORT, FieldType, ListType, PortType, RateType


@pytest.mark.parametrize(("text", "rate"), [("20", Fraction(20)), ("0.1", Fraction(1, 10)), ("1000", Fraction(1000))])
def test_a_rate_is_exact(text: str, rate: Fraction) -> None:
    assert RateType("ticks").convert(text, None, None) == rate


@pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "1001", "nan", "\u0662", "20 "])
def test_no_rate_is_told_what_would_be_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="would be") as refused:
        RateType("ticks").convert(text, None, None)
    assert "\n" not in refused.value.format_message()


@pytest.mark.parametrize(("text", "size"), [("20x11", (20, 11)), ("1000x1000", (1000, 1000))])
def test_a_field_is_width_and_height(text: str, size: tuple[int, int]) -> None:
    assert FieldType().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "50", "19x11", "20x10", "1001x20", "50x25x3", "50X25"])
def test_no_field_is_told_what_would_be_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="20x11 to 1000x1000"):
        FieldType().convert(text, None, None)


@click.command()
@click.option("--port", type=PortType(0, 65535), envvar="TICKBENCH_PORT")
def show(port: int) -> None:
    click.echo(port)


def test_a_port_of_kubernetes_is_no_port_but_a_typed_one_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKBENCH_PORT", "tcp://10.0.0.1:80")
    show.main([], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out == f"{DEFAULT_PORT}\n"
    assert said.err.count("\n") == 1
    with pytest.raises(click.BadParameter):
        show.main(["--port", "tcp://10.0.0.1:80"], standalone_mode=False)
    monkeypatch.setenv("TICKBENCH_PORT", "8123")
    show.main([], standalone_mode=False)
    assert capsys.readouterr().out == "8123\n"


@pytest.mark.parametrize("text", ["a,b", "a b", " a , b ", "a,\nb,"])
def test_a_list_in_the_environment_has_commas_or_white_space(text: str) -> None:
    assert ListType("cidr").split_envvar_value(text) == ["a", "b"]
    assert ListType("cidr").convert("a,b", None, None) == "a,b"
