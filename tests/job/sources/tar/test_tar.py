"""Tar archives: every file in them is found, over links and behind end marks, or counted; and so says every writer."""

import io
import os
import posixpath
import subprocess
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import rows_of
from tar_files import HARD, PROGRAM_FORMATS, PROGRAMS, SYM, pack, pack_folder

from job.errors import SourceError
from job.sources.left_out import LeftOutCounts
from job.sources.open_source import open_source
from job.sources.tar.tar_members import read_members
from job.spec.limits import Limits
from job.spec.spec import WebdatasetSource

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LOST_HARD, LOST_SYM = "hard links to no file of their archive", "symlinks to no file of their archive"
DEVICES = "devices and pipes in archives"
SPARSE = "sparse members, whose bytes do not lie together (pack them without --sparse)"
NAMES = ["a.jpg", "b.jpg", "./c.jpg", "d/a.jpg", "d/e/b.jpg", "./d/c", "long/" * 30 + "f.jpg"]


def files_in(data):
    """(name, bytes) of each file, and what was left out by kind."""
    counts = LeftOutCounts()
    members = list(read_members(io.BytesIO(data), len(data), "x.tar", counts))
    found = [(member.name, data[member.offset : member.offset + member.size]) for member in members]
    return found, {each.kind: each.count for each in counts.records()}


def as_tarfile_reads(data):
    """The same of one archive, as Python reads it."""
    found, left_out = [], {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            try:
                content = None if info.isdir() or info.isdev() else archive.extractfile(info)
            except (KeyError, RecursionError):
                content = None
            if content is not None:
                found.append((info.name, content.read()))
            elif not info.isdir():
                kind = LOST_HARD if info.islnk() else LOST_SYM if info.issym() else DEVICES
                left_out[kind] = left_out.get(kind, 0) + 1
    return found, left_out


targets = st.sampled_from([*NAMES[:-1], "../d/a.jpg", "e/b.jpg", "../../a.jpg", "./b.jpg", "nothing.jpg", "d"])
contents = (
    st.binary(min_size=1, max_size=4).map(lambda some: some * 300)
    | st.sampled_from([b"", b"x", b"x" * 511, b"x" * 512, b"x" * 513])
    | st.none()
    | st.tuples(st.sampled_from([HARD, SYM]), targets)
    | st.just((tarfile.FIFOTYPE, ""))
)
archives = st.lists(st.tuples(st.sampled_from(NAMES), contents), min_size=1, max_size=10)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(archives, min_size=1, max_size=3), form=st.sampled_from(FORMATS), padding=st.integers(0, 3))
def test_files_and_links_of_joined_archives_are_those_that_tarfile_finds_in_each(parts, form, padding):
    packed = [pack(part, form, comment="all") for part in parts]
    expected, left_out = [], {}
    for each in packed:
        files, kinds = as_tarfile_reads(each)
        expected += files
        left_out = {kind: left_out.get(kind, 0) + kinds.get(kind, 0) for kind in {*left_out, *kinds}}

    assert files_in((b"\0" * 512 * padding).join(packed)) == (expected, left_out)


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name.strip(". ")
)
member_names = st.tuples(
    st.sampled_from(["", "d/", "./", "very/" + "long/" * 30]),
    names,
    st.sampled_from([".jpg", ".cls", ".png", "", ".a.jpg"]),
).map("".join)


@settings(max_examples=80, deadline=None)
@given(
    names=st.lists(member_names, unique=True, min_size=1, max_size=8),
    form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_names_of_any_length_and_letters_are_those_that_tarfile_finds(names, form):
    links = [(f"to/{name}", (HARD, name)) for name in names]

    data = pack([*((name, name.encode()) for name in names), *links], form)

    assert files_in(data) == as_tarfile_reads(data)


@pytest.fixture
def folder(tmp_path):
    """Two images under seven names, a label by a link, and what holds no image."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / "1.jpg").write_bytes(b"one" * 1_000)
    (root / "1.cls").write_bytes(b"7")
    (root / "sub" / "2.jpg").write_bytes(b"two" * 1_000)
    os.link(root / "1.jpg", root / "hard.jpg")
    os.link(root / "1.cls", root / "hard.cls")
    os.link(root / "1.jpg", root / "sub" / ("long-" * 16 + "hard.jpg"))
    (root / "sub" / "relative.jpg").symlink_to("../1.jpg")
    (root / "forward.jpg").symlink_to("sub/2.jpg")
    (root / "twice.jpg").symlink_to("sub/relative.jpg")
    (root / "outside.jpg").symlink_to("/nowhere/1.jpg")
    (root / "folder").symlink_to("sub")
    return root


@pytest.mark.parametrize(("program", "form"), PROGRAM_FORMATS)
def test_a_folder_with_links_gives_every_image_that_it_shows(folder, tmp_path, program, form):
    if form != "v7":  # which has no pipes
        os.mkfifo(folder / "pipe.jpg")
    (tmp_path / "a.tar").write_bytes(pack_folder(folder, program, form))
    source = open_source(
        WebdatasetSource(kind="webdataset", uri=str(tmp_path / "a.tar"), label_from=".cls"), Limits(10**9, 10**6)
    )

    rows = rows_of(source)

    uris = [uri.partition("#./")[2] for uri in rows["uri"].to_pylist()]
    images = {str(path.relative_to(folder)): path for path in folder.rglob("*.jpg")}
    lost = {"outside.jpg", "pipe.jpg"}
    assert sorted(uris) == sorted(set(images) - lost)
    found = [handle() for handle in source.read(rows)]
    assert found == [images[name].read_bytes() for name in uris]
    labels = zip(uris, rows["expected"].to_pylist(), strict=True)
    assert {name for name, label in labels if label == "7"} == {"1.jpg", "hard.jpg"}
    devices = {} if form == "v7" else {DEVICES: 1}
    assert {each.kind: each.count for each in source.left_out} == {LOST_SYM: 2} | devices


@pytest.mark.parametrize(
    "option",
    [
        "--absolute-names",
        "--blocking-factor=512",
        "--dereference",
        "--hard-dereference",
        "--incremental",
        "--label=all",
        "--numeric-owner",
        "--pax-option=delete=mtime",
        "--sparse",
        "--xattrs",
    ],
)
@pytest.mark.parametrize("form", ["gnu", "posix"])
@pytest.mark.skipif(("gnu", "gnu") not in PROGRAM_FORMATS, reason="GNU tar is not here")
def test_ways_to_pack_change_nothing(folder, form, option):
    if "pax" in option:
        form = "posix"
    for path in (folder / "outside.jpg", folder / "folder"):
        path.unlink()

    found, left_out = files_in(pack_folder(folder, "gnu", form, option, by_name="incremental" not in option))

    images = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {posixpath.normpath(name): data for name, data in found} == images
    assert len(found) == len(images)
    assert left_out == {}


@pytest.mark.skipif(("gnu", "gnu") not in PROGRAM_FORMATS, reason="GNU tar is not here")
def test_an_archive_that_was_changed_in_place_is_read_as_it_is_now(tmp_path):
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    archive, other = tmp_path / "a.tar", tmp_path / "b.tar"
    for arguments in (
        ["-cf", archive, "1.jpg", "2.jpg"],
        ["-rf", archive, "3.jpg"],
        ["--delete", "-f", archive, "2.jpg"],
        ["-cf", other, "2.jpg"],
        ["-Af", archive, other],
    ):
        subprocess.run([PROGRAMS["gnu"], "-C", tmp_path, *arguments], check=True)

    found, left_out = files_in(archive.read_bytes())

    assert found == [(name, name.encode()) for name in ("1.jpg", "3.jpg", "2.jpg")]
    assert left_out == {}


nodes = st.lists(
    st.tuples(
        st.sampled_from(["", "p/", "p/q/", "r.s/"]),
        st.integers(0, 9),
        st.sampled_from(["file", "hard", "relative", "absolute"]),
        st.integers(0, 9),
    ),
    max_size=9,
    unique_by=lambda node: node[:2],
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=nodes, way=st.sampled_from(PROGRAM_FORMATS))
def test_what_programs_pack_of_any_folder_is_read_as_it_was(tmp_path_factory, nodes, way):
    root = tmp_path_factory.mktemp("tree")
    files = [root / "0.jpg"]
    files[0].write_bytes(b"first")
    for place, number, kind, other in nodes:
        path = root / f"{place}n{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        target = files[other % len(files)]
        if kind == "file":
            path.write_bytes(str(path).encode() * number)
        elif kind == "hard":
            os.link(target.resolve(), path)
        else:
            path.symlink_to(os.path.relpath(target, path.parent) if kind == "relative" else target)
        files.append(path)

    found, left_out = files_in(pack_folder(root, *way))

    inside = [path for path in files if _stays_inside(path)]
    assert {posixpath.normpath(name): data for name, data in found} == {
        str(path.relative_to(root)): path.read_bytes() for path in inside
    }
    assert len(found) == len(inside)
    assert sum(left_out.values()) == len(files) - len(inside)


def _stays_inside(path):
    """Whether no symlink on the way is absolute, and so out of the archive."""
    while path.is_symlink():
        target = os.readlink(path)
        if os.path.isabs(target):
            return False
        path = path.parent / target
    return True


@pytest.mark.parametrize("zeros", [0, 1, 2, 5_000])
def test_archives_joined_by_cat_are_read_to_their_end(zeros):
    one, other = pack([("1.jpg", b"one"), ("1.cls", b"1")]), pack([("1.jpg", b"two"), ("2.jpg", (HARD, "1.jpg"))])

    found, left_out = files_in(bytes(512 * zeros) + one + bytes(512 * zeros) + other)

    assert found == [("1.jpg", b"one"), ("1.cls", b"1"), ("1.jpg", b"two"), ("2.jpg", b"two")]
    assert left_out == {}


def test_links_of_joined_archives_stay_in_their_own():
    one, other = pack([("1.jpg", b"one")]), pack([("2.jpg", (HARD, "1.jpg")), ("3.jpg", (SYM, "1.jpg"))])

    assert files_in(one + other) == ([("1.jpg", b"one")], {LOST_HARD: 1, LOST_SYM: 1})


@pytest.mark.parametrize(
    ("behind", "text"),
    [
        (b"a signature" * 100, "damaged at byte 10,240: what stands behind .* `head -c 10240` is the archive before"),
        (b"\x1f\x8b" * 600, "damaged at byte 10,240: what stands behind"),
        (b"short", "damaged at byte 10,240: what stands behind"),
        (pack([("2.jpg", b"x" * 600)])[:700], "cut short: '2.jpg' ends at byte 11,352"),
        (pack([("2.jpg", b"x" * 600)])[:1_536], "cut short at byte 11,776: the archive has no end mark"),
        (pack([("2.jpg", b"x")])[:1_024] + b"\xff" * 512, "damaged at byte 11,264: this is no tar header"),
    ],
)
def test_what_stands_behind_an_end_mark_and_is_no_archive_is_refused(behind, text):
    with pytest.raises(SourceError, match=text):
        files_in(pack([("1.jpg", b"one")]) + behind)


@pytest.mark.parametrize("form", ["oldgnu", "gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"])
@pytest.mark.parametrize("holes", [1, 60])
@pytest.mark.skipif(("gnu", "gnu") not in PROGRAM_FORMATS, reason="GNU tar is not here")
def test_a_sparse_member_is_counted_and_its_neighbours_are_read(tmp_path, form, holes):
    for name in ("1.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(name.encode() * 1_000)
    with open(tmp_path / "2.jpg", "wb") as file:
        for hole in range(holes):
            file.seek((hole + 1) * 65_536)
            file.write(b"x" * 4_096)

    data = pack_folder(tmp_path, "gnu", *form.split(), "--sparse")

    assert len(data) < 65_536 + holes * 8_192
    assert files_in(data) == ([(f"./{name}", name.encode() * 1_000) for name in ("1.jpg", "3.jpg")], {SPARSE: 1})


def header(name, kind, size, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.USTAR_FORMAT)


def test_a_hard_link_may_repeat_its_files_size_or_its_bytes():
    data = b"abc".ljust(512, b"\0")
    one = header("1.jpg", tarfile.REGTYPE, 3) + data
    size_only, bytes_too = header("2.jpg", HARD, 3, "1.jpg"), header("3.jpg", HARD, 3, "gone.jpg") + data

    found, left_out = files_in(one + size_only + bytes_too + size_only + bytes(1_024))

    assert (found, left_out) == ([(f"{number}.jpg", b"abc") for number in (1, 2, 3, 2)], {})


def test_members_of_other_types_are_counted_and_what_lies_in_them_is_passed_over():
    data = bytes(512)
    strange = [header("Z.jpg", b"Z", 3) + data, header("rest.jpg", b"M", 3) + data]
    quiet = [header("label", b"V", 0), header("d/", b"D", 9) + data, header("d/", tarfile.DIRTYPE, 9)]
    last = header("c.jpg", tarfile.CONTTYPE, 3) + b"abc".ljust(512, b"\0") + bytes(1_024)

    assert files_in(b"".join([*strange, *quiet, last])) == (
        [("c.jpg", b"abc")],
        {"members of archives of an unknown type": 1, "rests of members that begin in another volume": 1},
    )


@pytest.mark.parametrize("form", FORMATS)
def test_names_that_are_not_utf8_are_read_and_stand_escaped_in_the_uri(tmp_path, form):
    (tmp_path / "a.tar").write_bytes(pack([("caf\udce9 100%#.jpg", b"one"), ("\udcff.d/x", b"")], form))
    source = open_source(WebdatasetSource(kind="webdataset", uri=str(tmp_path)), Limits(10**9, 10**6))

    rows = rows_of(source)

    assert rows["uri"].to_pylist() == [f"{tmp_path}/a.tar#caf%E9 100%25%23.jpg"]
    assert [handle() for handle in source.read(rows)] == [b"one"]
    assert [each.example for each in source.left_out] == [f"{tmp_path}/a.tar#%FF.d/x"]


@pytest.mark.parametrize("name", ["BZhang.jpg", "\x1f\x8b.jpg"])
def test_a_member_whose_name_begins_as_something_compressed_is_read(name):
    assert files_in(pack([(name, b"x")], tarfile.GNU_FORMAT)) == ([(name, b"x")], {})


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_member_of_many_gigabytes_is_found(form):
    info = tarfile.TarInfo("big.jpg")
    info.size = 20 << 30
    header = info.tobuf(form)
    after = pack([("next.jpg", b"abc")], form)

    class Sparse(io.RawIOBase):
        position = 0

        def seek(self, offset, whence=0):
            self.position = offset
            return offset

        def read(self, size=-1):
            start, tail = self.position, len(header) + info.size
            self.position += size
            return header[start : start + size] if start < len(header) else after[start - tail : start - tail + size]

    size = len(header) + info.size + len(after)

    found = [(member.name, member.size) for member in read_members(Sparse(), size, "x", LeftOutCounts())]

    assert found == [("big.jpg", 20 << 30), ("next.jpg", 3)]
