"""What no file of the project may hold, and what its pages link to."""

from __future__ import annotations

import re

import pytest

# In pieces, so that this file does not hold what it looks for.
REGISTRY, DISTRIBUTION, HERE = "".join(("py", "pi")), "".join(("deb", "ian")), "".join(("wo", "rk"))
FORBIDDEN = {
    "a registry's host": rf"({REGISTRY}|pythonhosted|npmjs|rubygems|crates)\.(org|com|io)\b",
    "a package archive's host": rf"\b(deb|archive|security)\.({DISTRIBUTION}|ubuntu)\.(org|com)\b",
    "a path of somebody's machine": rf"(?<![\w.~$}}{{])/({HERE}|root|Users)/\w",
}
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what, root, project_files):
    """Every text file of the project, the lock files too."""
    pattern = re.compile(FORBIDDEN[what])
    hits, read = [], 0
    for path in project_files:
        try:
            text = (root / path).read_text()
        except UnicodeDecodeError:
            continue
        read += 1
        hits += [f"{path}: {match[0]}" for match in pattern.finditer(text)]
    assert read > 50
    assert hits == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a registry's host", f"https://{REGISTRY}.org/simple"),
        ("a registry's host", f"https://test.{REGISTRY}.org/x"),
        ("a package archive's host", f"http://deb.{DISTRIBUTION}.org/"),
        ("a path of somebody's machine", f"see /{HERE}/main"),
        ("a path of somebody's machine", f"'/{'root'}/x"),
        ("a path of somebody's machine", f"/{'Users'}/bob"),
    ],
)
def test_the_patterns_find_what_they_look_for(what, text):
    """A pattern that matches nothing would let everything pass."""
    assert re.search(FORBIDDEN[what], text)


def anchors_of(markdown: str) -> set[str]:
    """The fragments by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ +(.+?)\s*$", markdown, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_every_link_of_a_page_resolves(root, project_files):
    """Links between our own pages lead to files, and to headings, that exist."""
    pages = [path for path in project_files if path.suffix == ".md"]
    assert any(path.name == "README.md" for path in pages)
    broken = []
    for page in pages:
        for link in LINK.findall((root / page).read_text()):
            target, _, fragment = link.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            file = root / page.parent / target if target else root / page
            if not file.exists() or (fragment and fragment not in anchors_of(file.read_text())):
                broken.append(f"{page}: {link}")
    assert broken == []


def test_the_locks_pin_every_hash(root):
    """Each requirement has one exact version and hashes; no lock names an index, a path or an option."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = re.sub(r"^ *#.*\n", "", (root / name).read_text(), flags=re.MULTILINE)
        entries = text.replace("\\\n", " ").splitlines()
        assert len(entries) > 10
        for entry in entries:
            assert re.fullmatch(
                r"[a-z0-9-]+==[0-9][\w.]*( ; [^;]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry
            ), entry


def test_the_run_time_lock_is_part_of_the_other(root):
    """What is tested is what is shipped: both locks pin the same versions of what the run time needs."""
    pins = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (root / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    ]
    assert pins[0]
    assert pins[0].items() <= pins[1].items()
