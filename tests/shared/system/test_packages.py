import pytest

from shared.system.packages import missing_words, needed_by


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'hdrh'", name="hdrh"), "x needs the package hdrhistogram, which is not"),
        (ModuleNotFoundError("No module named 'a'", name="a.b.c"), "x needs the package a, which is not installed"),
        (ImportError("libffi.so.7: gone", name="_cffi_backend"), "cffi, which cannot be imported (libffi.so.7: gone)"),
        (ModuleNotFoundError("No module named 'backends'", name="backends"), "install tickbench as a whole"),
    ],
)
def test_the_line_names_what_is_to_be_installed(error: ImportError, words: str) -> None:
    assert words in (missing_words(error, "x") or "")


def test_the_line_names_the_extra_that_holds_all_that_is_needed() -> None:
    error = ModuleNotFoundError("No module named 'flask'", name="flask")
    words = missing_words(error, "x", "server")
    assert words == "x needs the package flask, which is not installed; pip install 'tickbench[server]' would add it"


def test_a_fault_of_our_own_is_not_called_a_missing_package() -> None:
    assert missing_words(ImportError("cannot import name 'y'", name="shared.server.config"), "x") is None


def test_the_line_is_all_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, needed_by("x"):
        raise ModuleNotFoundError("No module named 'flask'", name="flask")
    assert stop.value.code == 2
    assert (
        capsys.readouterr().err
        == "error: x needs the package flask, which is not installed; pip install flask would add it\n"
    )
    with pytest.raises(ImportError), needed_by("x"):
        raise ImportError("of our own")
