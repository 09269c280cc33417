"""Checks and rewrites names and archives: what the modules dirfix, repack and packaging run, beside their
manifests as a link.

Only what a plain Debian has: /usr/bin/python3 with its own library, in a folder of the job's. No name out of
an input is ever the name of a file here: contents lie under numbers until they are in an archive.
"""

import base64
import binascii
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import sys
import tarfile
import unicodedata
import zipfile
import zlib

NAMES_MAX = 10_000
# Bytes of a name, and of a path.
NAME_BYTES_MAX = 200
PATH_BYTES_MAX = 1_000
# What an archive may unpack to, all members and what lies between them.
UNPACKED_BYTES_MAX = 128 << 20
PIECE = 1 << 16
# The date of all members: the same contents make the same archive.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)

RESERVED = {"con", "prn", "aux", "nul"} | {f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10)}
# Letters that are no letter with a mark.
SPELT = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "þ": "th", "Þ": "Th"})


class Refused(Exception):
    """Why there is no answer, in words for whoever asked."""


def shown(name):
    """A name as an answer may hold it."""
    return json.dumps(name)[1:-1] if any(unicodedata.category(c) in ("Cc", "Cs") for c in name) else name


def cleaned(name):
    """A plain name for one part of a path, and what was wrong with it."""
    problems = []

    def step(problem, after):
        nonlocal name
        if after != name:
            problems.append(problem)
            name = after

    step("control or invisible characters", "".join(c for c in name if unicodedata.category(c)[0] != "C"))
    step("letters beyond ASCII", "".join(
        c for c in unicodedata.normalize("NFKD", name.translate(SPELT)) if c.isascii()))
    step("blanks", re.sub(r"\s+", ".", name.strip()))
    step("characters that not all systems take", re.sub(r"[^A-Za-z0-9._+()\[\]-]", "_", name))
    step("dots in a row, or at an end", re.sub(r"\.{2,}", ".", name).strip("."))
    stem, dot, extension = name.rpartition(".")
    if len(name.encode()) > NAME_BYTES_MAX:
        keep = f".{extension}" if dot and len(extension) <= 10 else ""
        step("too long", name[:NAME_BYTES_MAX - len(keep)].rstrip(".") + keep)
    if name.partition(".")[0].lower() in RESERVED:
        step("reserved by some systems", f"_{name}")
    if not name:
        step("nothing was left of it", "unnamed")
    return name, problems


def checked_path(path):
    """The parts of a path that stays where it is put.

    Such a path is never mended: whoever wrote it meant something else than a name.
    """
    if not isinstance(path, str) or not path.strip():
        raise Refused("a name is empty")
    if len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        raise Refused(f"a name has more than {PATH_BYTES_MAX} bytes: {shown(path[:60])}…")
    if "\0" in path:
        raise Refused(f"{shown(path)} has a NUL in it")
    # The other slash leads elsewhere on some systems.
    parts = re.split(r"[/\\]", path)
    while parts and parts[0] == ".":
        parts.pop(0)
    if parts and parts[-1] == "":
        parts.pop()
    plain = [unicodedata.normalize("NFKC", part).strip() for part in parts]
    if not parts or any(part in ("", ".", "..") for part in plain) or re.match(r"[A-Za-z]:", parts[0]):
        raise Refused(f"{shown(path)} leads out of its folder, or names none")
    return parts


class Names:
    """New names for many, no two of which are the same on a system without cases."""

    def __init__(self):
        self.taken = set()
        self.renames = []

    def take(self, path):
        problems, parts = [], []
        for part in checked_path(path):
            part, wrong = cleaned(part)
            problems += [problem for problem in wrong if problem not in problems]
            parts.append(part)
        new, number = "/".join(parts), 1
        while new.lower() in self.taken:
            number += 1
            stem, dot, extension = parts[-1].rpartition(".")
            last = f"{stem}.{number}.{extension}" if dot else f"{parts[-1]}.{number}"
            new = "/".join([*parts[:-1], last])
        if number > 1:
            problems.append("another one has this name")
        self.taken.add(new.lower())
        if problems:
            self.renames.append({"from": shown(path), "to": new, "problems": problems})
        return new


def release_name(name):
    """The name of a release: words with dots, and its group."""
    parts = checked_path(name)
    if len(parts) != 1:
        raise Refused(f"{shown(name)} is no name of a release: it has a slash")
    new, problems = cleaned(parts[0])
    if not re.fullmatch(r".+-[A-Za-z0-9]{2,}", new):
        problems.append("it names no group at its end (-GROUP)")
    if new.count(".") < 1:
        problems.append("it is one word")
    return {"from": shown(name), "to": new, "changed": new != name, "problems": problems}


def dirfix():
    release, names = read_text("release.txt"), read_json("names.json")
    if len(names) > NAMES_MAX:
        raise Refused(f"there are more than {NAMES_MAX} names")
    new, refused, result = Names(), [], []
    for name in names:
        try:
            result.append({"from": shown(name), "to": new.take(name)})
        except Refused as reason:
            refused.append({"name": shown(name[:PATH_BYTES_MAX]), "reason": str(reason)})
    answer = {
        "release": release_name(release) if release else None,
        "renames": new.renames,
        "refused": refused,
        "checked": len(names),
        "ok": not new.renames and not refused,
    }
    write("names.json", result)
    print(f"{len(names)} names, {len(new.renames)} to change, {len(refused)} refused")
    return answer


class Bounded(io.RawIOBase):
    """What comes out of a compressed stream, up to a bound."""

    def __init__(self, stream):
        self.stream, self.left = stream, UNPACKED_BYTES_MAX

    def readable(self):
        return True

    def read(self, size=-1):
        piece = self.stream.read(min(PIECE, self.left + 1) if size < 0 else min(size, self.left + 1))
        self.left -= len(piece)
        if self.left < 0:
            raise Refused(f"it unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        return piece


class Contents:
    """Files under numbers, with the names that they are to have."""

    def __init__(self):
        self.names, self.entries, self.left = Names(), [], UNPACKED_BYTES_MAX
        os.mkdir("parts")

    def add(self, path, stream):
        if len(self.entries) == NAMES_MAX:
            raise Refused(f"there are more than {NAMES_MAX} files in it")
        name, place = self.names.take(path), f"parts/{len(self.entries)}"
        with open(place, "xb") as out:
            while piece := stream.read(PIECE):
                self.left -= len(piece)
                if self.left < 0:
                    raise Refused(f"it unpacks to more than {UNPACKED_BYTES_MAX} bytes")
                out.write(piece)
        self.entries.append((name, place))

    def sorted(self):
        return sorted(self.entries)

    def size(self):
        return UNPACKED_BYTES_MAX - self.left


def kind_of(data):
    for begin, kind in ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "tar.gz"), (b"BZh", "tar.bz2"), (b"\xfd7zXZ\0", "tar.xz")):
        if data.startswith(begin):
            return kind
    if data[257:262] == b"ustar":
        return "tar"
    raise Refused("it is neither a zip nor a tar (plain, or with gzip, bzip2 or xz)")


def unpack_zip(data, contents):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if len(archive.infolist()) > NAMES_MAX:
            raise Refused(f"there are more than {NAMES_MAX} files in it")
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if member.flag_bits & 1:
                raise Refused(f"{shown(member.filename)} is encrypted")
            if mode & 0o170000 not in (0, 0o100000, 0o040000):
                raise Refused(f"{shown(member.filename)} is a link or a device")
            if member.is_dir():
                checked_path(member.orig_filename)
                continue
            with archive.open(member) as stream:
                # What stands there, and not what the library made of it.
                contents.add(member.orig_filename, stream)


def unpack_tar(data, kind, contents):
    raw = io.BytesIO(data)
    streams = {"tar": lambda: raw, "tar.gz": lambda: gzip.GzipFile(fileobj=raw), "tar.bz2": lambda: bz2.BZ2File(raw), "tar.xz": lambda: lzma.LZMAFile(raw)}
    with tarfile.open(fileobj=Bounded(streams[kind]()), mode="r|", errorlevel=2) as archive:
        for member in archive:
            if member.isdir():
                checked_path(member.name)
                continue
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                raise Refused(f"{shown(member.name)} is a link, a device or has holes")
            stream = archive.extractfile(member)
            before = contents.size()
            contents.add(member.name, stream)
            if contents.size() - before != member.size:
                raise Refused(f"{shown(member.name)} ends before it should")


def repack(format):
    data = from_base64(read_text("archive.b64"), "archive_base64")
    kind = kind_of(data)
    contents = Contents()
    try:
        if kind == "zip":
            unpack_zip(data, contents)
        else:
            unpack_tar(data, kind, contents)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, ValueError, OverflowError, RuntimeError, UnicodeError) as error:
        raise Refused(f"the archive is damaged: {shown(str(error)[:200])}") from None
    if not contents.entries:
        raise Refused("there is no file in it")
    made = pack(contents, "", read_text("name.txt"), format)
    print(f"{kind} of {len(data)} bytes to {made['name']} of {made['size']}, {len(contents.entries)} files")
    return {
        "format_before": kind,
        "files": len(contents.entries),
        "unpacked_bytes": contents.size(),
        "renames": contents.names.renames,
        "archive": made,
    }


def packaging(format):
    release = release_name(read_text("release.txt"))
    contents = Contents()
    for i, file in enumerate(read_json("files.json")):
        if "text" in file:
            data = file["text"].encode("utf-8", "surrogatepass")
        else:
            data = from_base64(file["base64"], f"files/{i}/base64")
        contents.add(file["name"], io.BytesIO(data))
    sums, checks = [], []
    for name, place in contents.sorted():
        with open(place, "rb") as file:
            data = file.read()
        checks.append(f"{name} {zlib.crc32(data):08X}\r\n")
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    count, size, renames = len(contents.entries), contents.size(), list(contents.names.renames)
    lists = {f"{release['to']}.sfv": "".join(checks), "SHA256SUMS": "".join(sums)}
    for name, text in lists.items():
        if contents.names.take(name) != name:
            raise Refused(f"{name} is made here, and cannot be among the files")
        contents.names.taken.discard(name.lower())
        contents.add(name, io.BytesIO(text.encode()))
    made = pack(contents, f"{release['to']}/", release["to"], format)
    print(f"{made['name']}: {count} files, {made['size']} bytes")
    return {"release": release, "files": count, "unpacked_bytes": size, "renames": renames, "archive": made}


def pack(contents, folder, name, format):
    name = f"{cleaned(name)[0]}.{format}"
    os.mkdir("out")
    place = f"out/{name}"
    with open(place, "xb") as out:
        if format == "zip":
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                for inside, source in contents.sorted():
                    member = zipfile.ZipInfo(folder + inside, ZIP_DATE)
                    member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
                    with open(source, "rb") as file, archive.open(member, "w") as to:
                        while piece := file.read(PIECE):
                            to.write(piece)
        else:
            with gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as packed:
                with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                    for inside, source in contents.sorted():
                        member = tarfile.TarInfo(folder + inside)
                        member.size, member.mode = os.path.getsize(source), 0o644
                        with open(source, "rb") as file:
                            archive.addfile(member, file)
    digest = hashlib.sha256()
    with open(place, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return {"name": name, "size": os.path.getsize(place), "sha256": digest.hexdigest()}


def from_base64(text, where):
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{where} is no base64: {error}") from None


def read_text(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def read_json(path):
    return json.loads(read_text(path))


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def main(task, *arguments):
    write("answer.json", {"dirfix": dirfix, "repack": repack, "packaging": packaging}[task](*arguments))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"error: {refused}")
