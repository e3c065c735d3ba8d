"""The documentation is built as a site whose links hold and which asks no other server."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from documented import PAGES, ROOT

from docs import figures

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="needs mkdocs-material"
)
LINK = re.compile(r"""(?:href|src)=(?:"([^"]+)"|'([^']+)'|([^\s>]+))""")
LOADED = re.compile(r"<(?:script|img|iframe)[^>]* src=[\"']?(https?:[^\"'\s>]+)|<link[^>]+>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    names = {page.stem for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {name for name in names - {"README"} if not (site / f"{name}.html").exists()} == set()
    assert (site / "index.html").exists()


def test_all_links_hold(site: Path) -> None:
    broken, followed = [], 0
    for page in site.rglob("*.html"):
        for found in LINK.findall(page.read_text(encoding="utf-8")):
            link = urlsplit("".join(found))
            if link.scheme or link.netloc or page.name == "404.html":
                continue
            followed += 1
            target = page.parent / unquote(link.path) if link.path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                broken.append((page.name, link.geturl()))
            elif link.fragment and target.suffix == ".html":
                text = target.read_text(encoding="utf-8")
                if not re.search(rf"""id=["']?{re.escape(unquote(link.fragment))}["'\\s>]""", text):
                    broken.append((page.name, link.geturl()))
    assert broken == []
    assert followed > 1000


def test_no_page_asks_another_server_for_anything(site: Path) -> None:
    for page in site.rglob("*.html"):
        for found in LOADED.finditer(page.read_text(encoding="utf-8")):
            loads = found[1] or (re.search(r"https?:[^\s>]+", found[0]) or [None])[0]
            assert not loads or 'rel="canonical"' in found[0], (page.name, loads)


def test_a_link_that_leads_nowhere_is_noticed(site: Path, tmp_path: Path) -> None:
    del site
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = tmp_path / "docs"
    pages.mkdir()
    (pages / "README.md").write_text("# One\n\n[two](TWO.md)\n", encoding="utf-8")
    config = tmp_path / "mkdocs.yml"
    nav = text.index("\nnav:")
    config.write_text(re.sub(r"hooks: .*\n", "", text[:nav]), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config)]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 1
    assert "TWO.md" in built.stderr


def test_the_pictures_of_the_statistics_page_are_those_that_are_drawn() -> None:
    text = (ROOT / "docs" / "STATISTICS.md").read_text(encoding="utf-8")
    assert re.findall(r"\(figures/(\w+)\.svg\)", text) == list(figures.FIGURES)
    for name in figures.FIGURES:
        assert (ROOT / "docs" / "figures" / f"{name}.svg").stat().st_size < 100_000
