"""The page of a made-up study whose classes have hostile names, made once."""

from pathlib import Path

import pytest
from made_up_study import MadeUpStudy
from read_page import HOSTILE, Page

from orchestrator.report import inputs, page, study_page


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MadeUpStudy(classes=HOSTILE).write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def read(study: Path) -> inputs.Inputs:
    return inputs.read(study)


@pytest.fixture(scope="session")
def composed(read: inputs.Inputs) -> page.Page:
    return study_page.compose(read)


@pytest.fixture(scope="session")
def shown(study: Path, composed: page.Page) -> Page:
    text = page.render(composed)
    (study / "report.html").write_text(text, encoding="utf-8")
    return Page(text)
