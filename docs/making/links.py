"""Links of Markdown pages that leave the folder where the pages are published.

A page of docs/ may link to a script or an example of the repository, and the README to a page of docs/. On
the docs site and on a package index such a target is not there, so the link becomes an address in the
repository. Without the address of a repository the text of the link stays, without a link.
"""

import os
import posixpath
import re
from typing import Any

_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def absolute_links(markdown: str, folder: str, inside: str | None, repository: str) -> str:
    """Replace the links that lead out of the published folder.

    Args:
        markdown: text of a page.
        folder: folder of the page, relative to the root of the repository.
        inside: folder whose targets are published with the page; None publishes none.
        repository: address of the repository, such as ``https://HOST/OWNER/NAME``; may be empty.
    """

    def replaced(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        path, mark, anchor = target.partition("#")
        if "://" in target or not path:
            return match[0]
        place = posixpath.normpath(posixpath.join(folder, path))
        if inside is not None and place.startswith(f"{inside}/"):
            return match[0]
        if not repository:
            return "" if image else text
        kind = "raw" if image else "blob"
        return f"{image}[{text}]({repository}/{kind}/HEAD/{place}{mark}{anchor})"

    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(replaced, part) for part in parts[::2]]
    return "".join(parts)


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """MkDocs calls this for each page before it is rendered."""
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")
    return absolute_links(markdown, folder, "docs", config.repo_url or "")


def on_config(config: Any) -> Any:
    """MkDocs calls this first: the address of the repository comes from the environment."""
    config.repo_url = os.environ.get("TESTBUDGET_REPOSITORY", "").rstrip("/")
    return config
