"""What an installation must look like."""

import importlib.machinery
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("package", ["psro", "games"])
def test_a_clone_in_the_working_folder_does_not_hide_the_installed_package(tmp_path, package):
    """`cd ..; python -c "import psro"`: without `__init__.py`, the clone's folder is a namespace
    package for Python if no other is found on its path. setuptools adds the path of an editable
    install where `package-dir` has the root alone; else a finder, which Python asks later."""
    (tmp_path / package / "tests").mkdir(parents=True)
    path = [str(tmp_path), str(ROOT)]  # the working folder comes first
    found = importlib.machinery.PathFinder.find_spec(package, path)
    assert found.origin == str(ROOT / package / "__init__.py")
    assert importlib.machinery.PathFinder.find_spec(package, path[:1]).origin is None  # namespace
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-dir"] == {"": "."}
