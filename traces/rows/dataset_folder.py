"""Files of a dataset directory: as ``save_to_disk`` leaves one, or in the layout of the Hugging Face hub.

The layout of the hub is files of one format whose names or folders name their split
(``data/test-00000-of-00002.parquet``, ``test/part.jsonl``), or that ``configs`` in the header of
``README.md`` lists.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from testbudget.rewards.errors import UserError, choice_sentence

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".arrow")
"""Endings of files of rows, before that of a compression."""

_COMPRESSED = (".gz", ".bz2", ".zst")
_SPLITS = {
    word: split
    for split, words in {
        "train": ("train", "training"),
        "test": ("test", "testing", "eval"),
        "validation": ("validation", "valid", "val", "dev"),
    }.items()
    for word in words
}
_PREFERRED = "test"


class DatasetFiles(NamedTuple):
    """Files of one split of a dataset directory.

    Attributes:
        files: the files, in the order of their names.
        split: the split; None if the directory does not name splits.
        splits: all splits of the directory.
    """

    files: Sequence[Path]
    split: str | None = None
    splits: Sequence[str] = ()


def files_of_dataset(folder: Path, split: str | None) -> DatasetFiles:
    """Files of one split of a dataset directory.

    Args:
        folder: the directory.
        split: name of the split; None takes the only one, or ``test`` of several.

    Raises:
        UserError: the directory holds no rows, several formats or datasets, or not the split.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _json(folder / "dataset_dict.json").get("splits", [])
        chosen = chosen_split(folder, names, split)
        return DatasetFiles(_saved_files(folder / chosen), chosen, names)
    if (folder / "state.json").is_file():
        return DatasetFiles(_saved_files(folder))
    return _hub_files(folder, split)


def _saved_files(folder: Path) -> list[Path]:
    """Files of a split that was saved by ``save_to_disk``."""
    listed = [folder / entry["filename"] for entry in _json(folder / "state.json").get("_data_files", [])]
    if missing := [path.name for path in listed if not path.is_file()]:
        raise UserError(f"{folder} must hold all files of its state.json but lacks {', '.join(missing)}")
    return listed


def _hub_files(folder: Path, split: str | None) -> DatasetFiles:
    configs = _configurations(folder)
    if len(configs) > 1:
        chosen = next((name for name, default in configs.items() if default.get("default")), None)
        if chosen is None:
            raise UserError(
                f"{folder} must hold one dataset but its README.md lists {', '.join(configs)}: "
                f"name the files or the folder of one"
            )
        configs = {chosen: configs[chosen]}
    by_split = _listed(folder, next(iter(configs.values()))) if configs else _found(folder)
    if not by_split:
        endings = ", ".join(ENDINGS)
        raise UserError(f"{folder} must hold files of rows ({endings}) or a saved dataset but has none")
    if set(by_split) == {None} and split is None:
        return DatasetFiles(by_split[None])
    splits = {name or "train": files for name, files in by_split.items()}
    chosen = chosen_split(folder, list(splits), split)
    return DatasetFiles(splits[chosen], chosen, list(splits))


def _found(folder: Path) -> Mapping[str | None, list[Path]]:
    """Files of rows in a folder, by split."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and ending_of(path) in ENDINGS
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        and path.name not in ("dataset_infos.json", "dataset_info.json")
    ]
    if len(endings := sorted({ending_of(path) for path in paths})) > 1:
        raise UserError(
            f"{folder} must hold files of one format but has {', '.join(endings)}: name the file"
        )
    by_split: dict[str | None, list[Path]] = defaultdict(list)
    holders: dict[str | None, set[Path]] = defaultdict(set)
    for path in paths:
        split = split_of(path.relative_to(folder))
        by_split[split].append(path)
        holders[split].add(_holder(path.relative_to(folder)))
    for several in holders.values():
        if len(several) > 1:
            names = ", ".join(sorted(map(str, several)))
            raise UserError(f"{folder} must hold one dataset but has files in {names}: name one of them")
    return by_split


def _holder(path: Path) -> Path:
    """Folder of a file without the folder of its split."""
    parts = [part for part in path.parts[:-1] if part.lower() not in _SPLITS]
    return Path(*parts)


def split_of(path: Path) -> str | None:
    """Split that the name of a file, or of one of its folders, says; None if it says none."""
    for part in (path.name, *reversed(path.parts[:-1])):
        words = re.findall(r"[a-z]+", part.lower())
        if found := next((_SPLITS[word] for word in words if word in _SPLITS), None):
            return found
    return None


def ending_of(path: Path) -> str:
    """Ending of a file without that of its compression, in lower case."""
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in _COMPRESSED:
        endings.pop()
    return endings[-1] if endings else ""


def _configurations(folder: Path) -> dict[str, dict[str, Any]]:
    """Datasets that the header of README.md lists, by name; empty if it lists none."""
    readme = folder / "README.md"
    if not readme.is_file():
        return {}
    found = re.match(
        r"---\r?\n(.*?)\r?\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL
    )
    try:
        header = yaml.safe_load(found.group(1)) if found else None
    except yaml.YAMLError:
        return {}
    listed = header.get("configs") if isinstance(header, dict) else None
    return {
        str(entry.get("config_name", "default")): entry
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and entry.get("data_files")
    }


def _listed(folder: Path, config: Mapping[str, Any]) -> Mapping[str | None, list[Path]]:
    """Files of a dataset of README.md, by split."""
    entries = config["data_files"]
    base = folder / str(config.get("data_dir", ""))
    if not (isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)):
        entries = [{"split": "train", "path": entries}]
    by_split: dict[str | None, list[Path]] = {}
    for entry in entries:
        patterns = entry.get("path", [])
        found = [
            path
            for pattern in ([patterns] if isinstance(patterns, str) else patterns)
            for path in sorted(base.glob(str(pattern)))
            if path.resolve().is_relative_to(folder.resolve())
        ]
        if found:
            by_split[str(entry.get("split", "train"))] = found
    return by_split


def chosen_split(place: object, names: Sequence[str], split: str | None) -> str:
    """The split to read.

    Args:
        place: directory or dataset, for messages.
        names: splits that it has.
        split: split that is asked for; None takes the only one, or ``test``.

    Raises:
        UserError: it is not there, or there are several and none is asked for.
    """
    if split is not None:
        if split not in names:
            raise UserError(choice_sentence(f"the split of {place}", split, names))
        return split
    if len(names) == 1:
        return names[0]
    if _PREFERRED in names:
        return _PREFERRED
    raise UserError(f"{place} holds the splits {', '.join(names)}: choose one by problems.split or --split")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} must be a JSON object of a saved dataset but {error}") from None
    return found if isinstance(found, dict) else {}
