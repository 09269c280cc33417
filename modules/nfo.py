"""Reads and mends NFO texts: what the modules readnfo and nfofix run, beside their manifests as a link.

Only what a plain Debian has: /usr/bin/python3 with its own library, in a folder of the job's.
Whatever the text is, the outcome is an answer or one line `error: …` and a failure.
"""

import base64
import binascii
import json
import re
import sys
import unicodedata

# Bytes that a text may have; NFO files have some kilobytes.
TEXT_BYTES_MAX = 4 << 20
# What is told of fields, addresses and sections; more of them is no description of anything.
TOLD_MAX = 200
VALUE_CHARS_MAX = 500

# What a code page 437 shows for the bytes that are controls elsewhere.
LOW = "\0☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
KEPT_CONTROLS = "\t\n\r"
# What drawings are made of in code page 437: shades, boxes, blocks.
ART = set(bytes(range(0xB0, 0xE0)).decode("cp437")) | set("■▪·∙") | set(LOW[1:])

EOF_MARK = b"\x1a"
SAUCE_BYTES = 128

BOMS = [
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
]
ENCODINGS = {"utf-8", "utf-16-le", "utf-16-be", "cp437", "windows-1252"}


class Refused(Exception):
    """Why there is no answer, in words for whoever asked."""


def source():
    """The bytes that were given: a text, or base64 of any bytes."""
    with open("nfo.b64", encoding="utf-8", newline="") as file:
        encoded = "".join(file.read().split())
    if encoded:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"nfo_base64 is no base64: {error}") from None
    else:
        with open("nfo.txt", "rb") as file:
            data = file.read()
    if not data:
        raise Refused("the text is empty")
    if len(data) > TEXT_BYTES_MAX:
        raise Refused(f"the text has {len(data)} bytes; an NFO has at most {TEXT_BYTES_MAX}")
    return data


def cut_sauce(data):
    """The text without what artists' programs append to it, and what that says."""
    record = data[-SAUCE_BYTES:]
    if not record.startswith(b"SAUCE00"):
        return data.rstrip(EOF_MARK), None
    plain = lambda at, length: record[at:at + length].decode("cp437").strip(" \0")
    sauce = {"title": plain(7, 35), "author": plain(42, 20), "group": plain(62, 20), "date": plain(82, 8)}
    text = data[:-SAUCE_BYTES]
    comments = record[104]
    if comments and text[-5 - 64 * comments:][:5] == b"COMNT":
        text = text[:-5 - 64 * comments]
    return text.rstrip(EOF_MARK), sauce


def guess(data):
    """The encoding of bytes that are no UTF-8. Drawings and letters speak for different ones."""
    drawn = spelt = 0
    letter = lambda byte: 65 <= byte <= 90 or 97 <= byte <= 122
    for before, byte, after in zip(b" " + data, data, data[1:] + b" "):
        if byte < 0x80:
            continue
        beside_letter = letter(before) or letter(after)
        if beside_letter and 0x80 <= byte <= 0xA5:
            drawn += 1
        elif beside_letter and byte >= 0xC0 and before < 0x80 and after < 0x80:
            spelt += 1
        elif 0xB0 <= byte <= 0xDF or byte in (0xF9, 0xFA, 0xFE) or byte == before:
            drawn += 1
    return "windows-1252" if spelt > drawn else "cp437"


def decoded(data, wanted):
    """The text, its encoding, and whether it begins with a byte order mark."""
    for bom, encoding in BOMS:
        if data.startswith(bom) and wanted in ("auto", encoding):
            return strictly(data[len(bom):], encoding), encoding, True
    if wanted != "auto":
        return strictly(data, wanted), wanted, False
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        encoding = guess(data)
        return strictly(data, encoding), encoding, False
    return text, "ascii" if data.isascii() else "utf-8", False


def strictly(data, encoding):
    if encoding not in ENCODINGS:
        raise Refused(f"{encoding} is none of {', '.join(sorted(ENCODINGS))}")
    if encoding == "cp437":
        return "".join(
            LOW[ord(c)] if c < " " and c not in KEPT_CONTROLS + "\0" else "⌂" if c == "\x7f" else c
            for c in data.decode("cp437")
        )
    if encoding == "windows-1252":
        # Five bytes have no letter there.
        return data.decode("cp1252", errors="replace")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused(f"it is no {encoding}: byte {error.start} is wrong") from None


def plain(text):
    """A line without what it is drawn with."""
    return " ".join("".join(" " if c in ART else c for c in text).split())


def told(text):
    """As an answer may hold it: a value in JSON that rows can store."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)[:VALUE_CHARS_MAX]


# `Label....: value`; a label is words, and not half a sentence.
FIELD = re.compile(r"^([^\W\d_][\w /&.'()-]{0,38}?)[\s.·_-]*[:=]\s*(\S.*)$")
NAMES = {
    "title": "title titel titre movie film name release releasename",
    "date": "date releasedate datum released rlsdate",
    "year": "year jahr annee année",
    "genre": "genre",
    "group": "group team gruppe equipe équipe",
    "source": "source quelle medium",
    "size": "size groesse größe taille filesize",
    "runtime": "runtime duration laufzeit duree durée length playtime",
    "languages": "language languages sprache langue langues",
    "subtitles": "subtitle subtitles subs untertitel soustitres",
    "imdb": "imdb imdblink imdburl",
    "rating": "rating imdbrating note bewertung",
    "video": "video videocodec vcodec",
    "resolution": "resolution aufloesung auflösung résolution dimensions",
    "bitrate": "bitrate videobitrate",
    "frame_rate": "framerate fps",
    "audio": "audio audiocodec acodec sound ton",
    "container": "container format",
    "files": "files archives rars discs disks",
    "supplier": "supplier ripper encoder uploader",
}
CANONICAL = {word: name for name, words in NAMES.items() for word in words.split()}
OF_MEDIA = ["video", "resolution", "bitrate", "frame_rate", "audio", "languages", "subtitles", "runtime", "container"]

RELEASE = re.compile(r"\b[A-Za-z0-9][A-Za-z0-9._]{4,150}-[A-Za-z0-9]{2,20}\b")
ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'|]+", re.IGNORECASE)


def fields(lines):
    found = []
    for line in lines:
        match = FIELD.match(line)
        if match and not match[2].startswith("//"):
            key = re.sub(r"[\W_]", "", match[1]).lower()
            found.append({"label": told(match[1].strip()), "name": CANONICAL.get(key), "value": told(match[2])})
    return found[:TOLD_MAX]


def first(found, name):
    return next((field["value"] for field in found if field["name"] == name), None)


def release(lines):
    """The name of the release, where one stands by itself, and what it says."""
    for line in lines:
        match = RELEASE.search(line)
        if match and match[0].count(".") >= 2:
            parts, group = match[0].rsplit("-", 1)
            words = parts.split(".")
            pick = lambda pattern: next((w for w in words if re.fullmatch(pattern, w, re.IGNORECASE)), None)
            return {
                "name": match[0],
                "group": group,
                "year": pick(r"(19|20)\d\d"),
                "resolution": pick(r"\d{3,4}[pi]|4K|UHD"),
                "source": pick(r"WEB(-?DL|RIP)?|BLURAY|BDRIP|DVD(RIP|R)?|HDTV|CD|VINYL"),
                "codec": pick(r"[xh]\.?26[45]|HEVC|AVC|XVID|DIVX|AV1|MP3|FLAC"),
            }
    return None


def media(found, text):
    values = {name: first(found, name) for name in OF_MEDIA}
    of_video = " ".join(filter(None, (values["video"], values["resolution"], values["bitrate"], values["frame_rate"])))
    look = lambda pattern, where: (m := re.search(pattern, where, re.IGNORECASE)) and m[1].strip()
    size = re.search(r"(\d{3,5})\s*[x×*]\s*(\d{3,5})", of_video)
    audio = values["audio"] or ""
    listed = lambda value: [part for part in re.split(r"\s*[,/|;+&]\s*", value or "") if part][:TOLD_MAX]
    return {
        "fields": {name: value for name, value in values.items() if value},
        "video": {
            "codec": look(r"\b([xh]\.?26[45]|hevc|avc|xvid|divx|av1|vc-?1|mpeg-?[24]|vp9)\b", of_video),
            "width": int(size[1]) if size else None,
            "height": int(size[2]) if size else None,
            "bitrate": look(r"(\d+(?:[.,]\d+)?\s*[kmg]b(?:it)?(?:ps|/s))", of_video),
            "frame_rate": look(r"(\d{2,3}(?:[.,]\d+)?)\s*(?:fps|hz)", of_video)
            or look(r"^(\d{2,3}(?:[.,]\d+)?)$", values["frame_rate"] or ""),
        },
        "audio": {
            "codec": look(r"\b(e-?ac-?3|ac-?3|aac|dts(?:-hd)?|truehd|flac|mp3|opus|ogg|pcm)\b", audio),
            "channels": look(r"\b([1257]\.[01]|stereo|mono)\b", audio),
            "bitrate": look(r"(\d+(?:[.,]\d+)?\s*[kmg]b(?:it)?(?:ps|/s))", audio),
        },
        "languages": listed(values["languages"]),
        "subtitles": listed(values["subtitles"]),
    }


def structure(data, text, encoding, has_bom, sauce):
    crlf = text.count("\r\n")
    lines = re.split(r"\r\n|\r|\n", text)
    if lines[-1] == "":
        lines.pop()
    is_art = lambda line: sum(c in ART for c in line) * 2 > len(line.replace(" ", ""))
    drawn = [line for line in lines if line.strip() and is_art(line)]
    headings = [p for line in lines if (p := plain(line)) and 3 < len(p) < 40 and p.isupper() and ":" not in p]
    controls = sum(unicodedata.category(c) == "Cc" and c not in KEPT_CONTROLS for c in text)
    return {
        "bytes": len(data),
        "encoding": encoding,
        "byte_order_mark": has_bom,
        "line_ends": {"crlf": crlf, "lf": text.count("\n") - crlf, "cr": text.count("\r") - crlf},
        "lines": len(lines),
        "blank_lines": sum(not line.strip() for line in lines),
        "art_lines": len(drawn),
        "width": max((len(line) for line in lines), default=0),
        "control_characters": controls,
        "replaced_characters": text.count("\ufffd"),
        "sections": [told(heading) for heading in headings[:TOLD_MAX]],
        "addresses": [told(address) for address in ADDRESS.findall(text)[:TOLD_MAX]],
        "sauce": sauce and {name: told(value) for name, value in sauce.items()},
    }


def read(wanted):
    data = source()
    body, sauce = cut_sauce(data)
    text, encoding, has_bom = decoded(body, wanted)
    lines = [plain(line) for line in re.split(r"\r\n|\r|\n", text)]
    found = fields(lines)
    metadata = {name: value for name in NAMES if name not in OF_MEDIA and (value := first(found, name))}
    metadata["release"] = release(lines)
    metadata["fields"] = found
    answer = {
        "metadata": metadata,
        "mediainfo": media(found, text),
        "structure": structure(data, text, encoding, has_bom, sauce),
    }
    with open("analysis.json", "w", encoding="utf-8") as file:
        json.dump(answer, file, ensure_ascii=False, indent=1)
    with open("nfo-utf8.txt", "w", encoding="utf-8", newline="") as file:
        file.write(re.sub(r"\r\n|\r", "\n", text))
    print(f"{len(data)} bytes of {encoding}, {answer['structure']['lines']} lines, {len(found)} fields")


def unmistaken(text):
    """A drawing whose bytes somebody took for Latin letters: `ÜÛß` for `▄█▀`."""
    drawn = lambda text: sum(c in ART for c in text)
    for mistaken in ("cp1252", "latin-1"):
        try:
            right = text.encode(mistaken).decode("cp437")
        except UnicodeEncodeError:
            continue
        letters = sum(c > "\x7f" for c in text)
        if letters >= 8 and drawn(text) == 0 and drawn(right) * 2 > letters:
            return right
    return None


def fix(wanted, target, line_end):
    data = source()
    body, sauce = cut_sauce(data)
    text, encoding, has_bom = decoded(body, wanted)
    repaired = unmistaken(text) if encoding == "utf-8" else None
    before = text if repaired is None else repaired
    lines = re.split(r"\r\n|\r|\n", before)
    trailing = sum(line != line.rstrip(" \t") for line in lines)
    clean = lambda line: "".join(c for c in line if c == "\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    controls = sum(len(line) - len(clean(line)) for line in lines)
    lines = [clean(line).rstrip(" \t") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    end = {"crlf": "\r\n", "lf": "\n"}[line_end]
    fixed = "".join(line + end for line in lines)
    if not fixed:
        raise Refused("nothing is left of it: it has blanks and controls alone")
    out = encoded(fixed, target)
    ends = structure(data, text, encoding, has_bom, sauce)["line_ends"]
    answer = {
        "encoding_before": encoding,
        "encoding_after": target,
        "changed": out != data,
        "changes": {
            "encoding": encoding not in (target, "ascii"),
            "mistaken_encoding_undone": repaired is not None,
            "byte_order_mark_removed": has_bom,
            "line_ends_changed": sum(count for kind, count in ends.items() if kind != line_end),
            "trailing_blanks_removed": trailing,
            "control_characters_removed": controls,
            "sauce_removed": sauce is not None,
        },
        "lines": len(lines),
    }
    with open("fixed.nfo", "wb") as file:
        file.write(out)
    with open("changes.json", "w", encoding="utf-8") as file:
        json.dump(answer, file, ensure_ascii=False, indent=1)
    print(f"{encoding} to {target}: {'changed' if answer['changed'] else 'nothing to change'}")


def encoded(text, target):
    if target == "utf-8":
        return text.encode("utf-8")
    low = {c: bytes([i]) for i, c in enumerate(LOW) if i} | {"⌂": b"\x7f"}
    out, line, column = [], 1, 0
    for c in text:
        line, column = (line + 1, 0) if c == "\n" else (line, column + 1)
        try:
            out.append(low.get(c) or c.encode("cp437"))
        except UnicodeEncodeError:
            raise Refused(
                f"line {line}, column {column}: {c!r} (U+{ord(c):04X}) is not in code page 437; "
                "take utf-8 as the target"
            ) from None
    return b"".join(out)


def main(task, *arguments):
    {"read": read, "fix": fix}[task](*arguments)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"error: {refused}")
