"""Which `ibapi` is installed: mixtures, leftovers and old releases are refused with the remedy."""

import inspect
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import ibapi
import pytest
from ibapi.client import EClient

from adapters.ibkr.wire.distribution import installed, owning, refuse_mixtures, remedy
from core.errors import BrokerLibraryUnusable, ExitCode

INSTALLED = Path(ibapi.__file__).parent
OWNER = next(owning(INSTALLED, distributions()))
NAME = OWNER.metadata["Name"]
PROJECT = Path(__file__).resolve().parents[2]
PROBE = "from adapters.ibkr.wire.distribution import installed; print(installed())"


@pytest.fixture
def site(tmp_path):
    """Lay out a copy of the installed `ibapi` as pip does."""
    shutil.copytree(INSTALLED, tmp_path / "ibapi", ignore=shutil.ignore_patterns("__pycache__"))
    info = Path(str(OWNER.locate_file("")))
    source = info / f"{NAME.replace('-', '_')}-{OWNER.version}.dist-info"
    shutil.copytree(source, tmp_path / source.name)
    return tmp_path.resolve()


def found_in(site):
    return list(owning(site / "ibapi", distributions(path=[str(site)])))


def check(site):
    refuse_mixtures(site / "ibapi", found_in(site))


def second_distribution(site, name="ibapi", version="9.81.1.post1"):
    """Add what `pip install ibapi` leaves beside: its own metadata, and files over the others."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("ibapi/__init__.py,,\nibapi/client.py,,\n")


def test_capabilities_are_those_of_the_signatures():
    found = installed()
    assert found.distributions == (NAME,)
    assert found.version == OWNER.version
    assert found.cancel_order_arity == len(inspect.signature(EClient.cancelOrder).parameters) - 1
    assert found.has_error_time
    assert found.has_commission_and_fees_report
    assert found.interpret_arity == 2
    assert found.max_client_version >= 203


def test_a_clean_installation_is_accepted(site):
    assert list(found_in(site)) != []
    check(site)


def test_two_distributions_over_each_other_are_refused_with_the_remedy(site):
    second_distribution(site)
    with pytest.raises(BrokerLibraryUnusable, match=rf"{NAME} .* and |and {NAME} ") as caught:
        check(site)
    assert remedy(found_in(site)) in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_remedy_names_every_distribution_that_was_found(site):
    second_distribution(site, "nautilus_ibapi", "10.46.1")
    with pytest.raises(BrokerLibraryUnusable, match=r"pip uninstall -y ibapi .*nautilus_ibapi.* && pip"):
        check(site)


def test_a_file_of_another_release_is_refused(site):
    with (site / "ibapi" / "reader.py").open("a") as file:
        file.write("\n# another release\n")
    with pytest.raises(BrokerLibraryUnusable, match=r"1 files are not those .*reader\.py"):
        check(site)


def test_a_file_that_another_distribution_left_behind_is_refused(site):
    (site / "ibapi" / "commission_report.py").write_text("")
    with pytest.raises(BrokerLibraryUnusable, match=r"commission_report\.py"):
        check(site)


def test_a_file_that_went_with_another_distribution_is_refused(site):
    (site / "ibapi" / "order.py").unlink()
    with pytest.raises(BrokerLibraryUnusable, match=r"order\.py"):
        check(site)


def test_the_same_folder_named_twice_on_the_path_is_one_installation(site):
    twice = distributions(path=[str(site), str(site / "ibapi" / "..")])
    assert len(list(owning(site / "ibapi", twice))) == 1


def test_a_distribution_in_another_folder_does_not_count(site, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    second_distribution(elsewhere)
    every = distributions(path=[str(site), str(elsewhere)])
    assert [item.metadata["Name"] for item in owning(site / "ibapi", every)] == [NAME]


def probe(path):
    """Ask a new process what it finds with this folder first on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(PROJECT)])}
    command = [sys.executable, "-c", PROBE]
    return subprocess.run(
        command, env=environment, cwd=path, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_release_that_cuts_fractional_sizes_is_refused(site):
    versions = site / "ibapi" / "server_versions.py"
    with versions.open("a") as file:
        file.write("\nMAX_CLIENT_VER = 157\n")
    shutil.rmtree(next(site.glob("*.dist-info")))
    answer = probe(site)
    assert "knows protocol versions up to 157, expected 163 or more" in answer.stderr
    assert remedy() in answer.stderr


def test_a_release_that_cannot_be_imported_is_refused(site):
    shutil.rmtree(next(site.glob("*.dist-info")))
    (site / "ibapi" / "decoder.py").write_text("import google_protobuf_is_missing\n")
    answer = probe(site)
    assert "cannot be imported (No module named 'google_protobuf_is_missing')" in answer.stderr


def test_importing_the_adapter_imports_no_ibapi():
    program = (
        "import sys; import adapters.ibkr.wire.codec, adapters.ibkr.wire.translation; "
        "print([name for name in sys.modules if name.split('.')[0] == 'ibapi'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "[]"
