"""Writes archives as attackers make them, as JSON: a name, and the archive in base64."""

import base64
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib

made = {}


def keep(name, data):
    made[name] = base64.b64encode(data).decode()


def tar(members, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, kind, more in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            data = b""
            if kind == tarfile.REGTYPE:
                data = more or b"x"
                member.size = len(data)
            elif isinstance(more, str):
                member.linkname = more
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in members:
            member = zipfile.ZipInfo(name)
            member.filename = name
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return out.getvalue()


FILE = tarfile.REGTYPE
for name in ["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "C:/x", "..\\x", "．．/x"]:
    keep(f"tar: {name}", tar([(name, FILE, None)]))
    keep(f"zip: {name}", zipped([(name, "x", 0o100644)]))
keep("tar: a link to a file", tar([("a", tarfile.SYMTYPE, "/etc/passwd")]))
keep("tar: a link, and a file through it", tar([("a", tarfile.SYMTYPE, "/tmp"), ("a/b", FILE, None)]))
keep("tar: another name of a file", tar([("a", tarfile.LNKTYPE, "/etc/shadow")]))
keep("tar: a pipe", tar([("a", tarfile.FIFOTYPE, None)]))
keep("tar: a device", tar([("a", tarfile.CHRTYPE, None)]))
keep("tar: a folder that leads out", tar([("../x", tarfile.DIRTYPE, None), ("y", FILE, None)]))
keep("zip: a link", zipped([("a", "/etc/passwd", 0o120777)]))
keep("zip: a pipe", zipped([("a", "", 0o010644)]))
keep("zip: a folder that leads out", zipped([("../x/", "", 0o040755), ("y", "y", 0)]))

# Bombs: a thousand times what it is.
zeros = b"\0" * (1 << 20)
keep("zip: a bomb", zipped([("a", zeros * 200, 0o100644)]))
keep("zip: many files that are a bomb together", zipped([(f"{i}", zeros, 0) for i in range(200)]))
keep("tar: a bomb", tar([("a", FILE, zeros * 200)]))
keep("gzip in gzip", gzip.compress(gzip.compress(zeros * 100)))
keep("gzip: a bomb that is no tar", gzip.compress(zeros * 200))
keep("zip: too many files", zipped([(f"{i}", "", 0) for i in range(10_001)]))

# Two entries, one content: half of what quoted bombs are made of.
first = zipped([("a", zeros * 100, 0)])
end = first.rindex(b"PK\x05\x06")
entry = first[first.rindex(b"PK\x01\x02"):end]
count, size, begin = 2, 2 * len(entry), end - len(entry)
keep("zip: entries over each other", first[:end] + entry + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, begin, 0))

# A length that is not so.
plain = zipped([("a", "hello " * 100, 0)])
keep("zip: cut", plain[: len(plain) // 2])
keep("zip: a wrong checksum", plain.replace(struct.pack("<L", zlib.crc32(b"hello " * 100)), b"\0\0\0\0"))
keep("zip: encrypted", plain[:6] + b"\1" + plain[7:].replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1"))
keep("zip: of nothing", b"PK\x05\x06" + b"\0" * 18)
keep("tar: cut", tar([("a", FILE, bytes(range(256)) * 100)], "w")[:3_000])
keep("gzip: cut", tar([("a", FILE, bytes(range(256)) * 100)])[:-200])
header = tarfile.TarInfo("a")
header.size = 1 << 40
keep("tar: a terabyte that is not there", header.tobuf())
sparse = tarfile.TarInfo("a")
sparse.type = tarfile.GNUTYPE_SPARSE
keep("tar: a file of holes", sparse.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
pax = tarfile.TarInfo("x")
pax.type, pax.size = tarfile.XHDTYPE, 1 << 40
keep("tar: a header of a terabyte", pax.tobuf())
keep("tar: a header that is a bomb", gzip.compress(pax.tobuf() + zeros * 200))
keep("no archive", b"hello")
keep("a compressed nothing", gzip.compress(b""))

print(json.dumps(made))
