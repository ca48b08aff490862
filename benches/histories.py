"""Makes the next version of a file as such files grow in real projects. Run by chunks.bash:

    histories.py NAME VERSION MIB FILE NEW

makes version VERSION of the history NAME (0 is the first, of about MIB MiB) at FILE, where the version
before lies, and writes to NEW what is new in it. Parquet files come from `table.csv` in the current
directory, the current version of the history `csv`. The same arguments make the same bytes.
"""

import json
import random
import sys
import tarfile
from io import BytesIO

PLACES = 20
ROWS_A_PLACE = 50
IMAGE = 10_000


def rows(chance, count):
    """Rows of a table: an id, a time, a place, numbers, and a few words."""
    names = ["Oslo", "Lagos", "Quito", "Busan", "Tours", "Perth", "Turku", "Essen"]
    words = ["late", "ok", "broken", "new", "sold", "kept", "moved", "clean", "wet", "cold"]
    for _ in range(count):
        yield "%d,2026-%02d-%02dT%02d:%02d:%02d,%s,%.4f,%.2f,%d,%s %s\n" % (
            chance.getrandbits(40),
            chance.randint(1, 12),
            chance.randint(1, 28),
            chance.randint(0, 23),
            chance.randint(0, 59),
            chance.randint(0, 59),
            chance.choice(names),
            chance.gauss(0, 1),
            chance.uniform(0, 1000),
            chance.randint(0, 99),
            chance.choice(words),
            chance.choice(words),
        )


def text_of(chance, length):
    """Rows of that many bytes in all, about."""
    parts, size = [], 0
    while size < length:
        part = "".join(rows(chance, 1000)).encode()
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def csv(version, mib, path, chance):
    """Rows are inserted at some places, anywhere."""
    if version == 0:
        text = b"id,time,place,x,y,n,note\n" + text_of(chance, mib << 20)
        write(path, text)
        return text
    old = read(path)
    places = sorted(old.index(b"\n", chance.randrange(len(old) - 200)) + 1 for _ in range(PLACES))
    parts, new, last = [], [], 0
    for place in places:
        inserted = "".join(rows(chance, ROWS_A_PLACE)).encode()
        parts += [old[last:place], inserted]
        new.append(inserted)
        last = place
    write(path, b"".join(parts) + old[last:])
    return b"".join(new)


def log(version, mib, path, chance):
    """Lines are appended, a tenth of the first version each time."""
    more = text_of(chance, (mib << 20) // (1 if version == 0 else 10))
    with open(path, "ab") as file:
        file.write(more)
    return more


def model(version, mib, path, chance):
    """Weights in 32 bits; one tensor in ten is trained on, whichever they are."""
    import numpy

    tensors = []
    left = (mib << 20) // 4
    while left > 0:
        size = min(left, chance.choice([768, 4096, 589_824, 589_824, 2_359_296]))
        tensors.append((size, 0))
        left -= size
    for turn in range(1, version + 1):
        budget = sum(size for size, _ in tensors) // 10
        for number in random.Random(turn).sample(range(len(tensors)), len(tensors)):
            size = tensors[number][0]
            if size <= budget:
                budget -= size
                tensors[number] = (size, turn)
    data = []
    for number, (size, turn) in enumerate(tensors):
        generator = numpy.random.default_rng([number, turn])
        data.append(generator.normal(0, 0.02, size).astype("<f4").tobytes())
    header = json.dumps({"layer.%d" % n: size for n, (size, _) in enumerate(tensors)}).encode()
    write(path, len(header).to_bytes(8, "little") + header + b"".join(data))
    return b"".join(part for part, (_, turn) in zip(data, tensors) if turn == version)


def tar(version, mib, path, chance):
    """Images that do not compress; one in a hundred is replaced by another of another size."""
    count = (mib << 20) // IMAGE
    turns = [0] * count
    for turn in range(1, version + 1):
        for number in random.Random(turn).sample(range(count), count // 100):
            turns[number] = turn
    new = []
    with tarfile.open(path, "w") as archive:
        for number, turn in enumerate(turns):
            image = random.Random(number * 1000 + turn)
            data = image.randbytes(image.randint(IMAGE // 2, IMAGE * 3 // 2))
            info = tarfile.TarInfo("images/%06d.jpg" % number)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
            if turn == version:
                new.append(data)
    return b"".join(new)


def parquet(version, mib, path, chance, content_defined=False):
    """The table of the history `csv`, as Parquet."""
    import pyarrow.csv
    import pyarrow.parquet

    csv(version, mib, "table.csv", chance)
    table = pyarrow.csv.read_csv("table.csv")
    options = {"use_content_defined_chunking": True} if content_defined else {}
    pyarrow.parquet.write_table(table, path, **options)
    return b""


def parquet_cdc(version, mib, path, chance):
    """The same, with pages that end where the content says so."""
    return parquet(version, mib, path, chance, content_defined=True)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def main():
    name, version, mib, path, new = sys.argv[1:]
    histories = [csv, parquet, parquet_cdc, model, log, tar]
    history = {history.__name__: history for history in histories}[name]
    chance = random.Random("%s %s" % (name if "parquet" not in name else "csv", version))
    if name == "model":
        chance = random.Random(name)
    write(new, history(int(version), int(mib), path, chance))


main()
