#!/usr/bin/env python3
"""Compares the node's exact search in vectors with numpy, search by search. `cargo xtask bench inference`
runs it, with the packages of `requirements.txt`; alone: tests/bench/index.py

numpy computes matrix @ vector in 32-bit fractions, then argpartition and a sort of the best ten, with
OpenBLAS on two threads and the matrix in memory. The node's index runs in a process of its own
(`tests/bench/index.rs`, optimised) and answers through the port that plugins reach: candidates from
memory, exact comparison and texts from its database. The two take turns, ten searches each, so what else
the machine does falls on both; between turns there is a pause, since the threads of OpenBLAS turn idly for
a while after their work.

Two sets of vectors are made: without any order, where bounds are least of use, and in clusters, as
those of texts are. Printed are, for each: seconds to put all rows, milliseconds of the first search,
which reads them into memory, median and 90th percentile of a search on both sides, the ratio of the
medians, and the recall: how many of the truly nearest ten, by 64-bit products, were given.
`--rows`, `--dimensions` and `--searches` change the sizes.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import figures  # noqa: E402
import numpy  # noqa: E402 (the number of threads is read when it is loaded)

NEAREST = 10
# Products of 32-bit fractions that differ by less are the same place.
SAME = 1e-6
# Searches of one turn, and seconds between turns.
TURN = 10
PAUSE = 0.2


def unit(rows):
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


def made(kind, rows, queries, dimensions):
    """Rows and queries of length 1."""
    random = numpy.random.default_rng(20261126)
    def normal(count):
        return random.standard_normal((count, dimensions), dtype=numpy.float32)
    if kind == "without order":
        return unit(normal(rows)), unit(normal(queries))
    centres = unit(normal(max(rows // 200, 1)))
    def near(count):
        chosen = centres[random.integers(len(centres), size=count)]
        return unit(chosen + normal(count) * numpy.float32(0.6 / dimensions**0.5))
    return near(rows), near(queries)


def nearest(matrix, vector):
    """The usual way to search in numpy."""
    products = matrix @ vector
    best = numpy.argpartition(-products, NEAREST)[:NEAREST]
    return best[numpy.argsort(-products[best])]


def truly(matrix, vector):
    """Products of 64 bits, block by block, and what the tenth best of them is."""
    blocks = numpy.array_split(matrix, max(len(matrix) // 20_000, 1))
    products = numpy.concatenate([block.astype(numpy.float64) @ vector.astype(numpy.float64) for block in blocks])
    return products, numpy.partition(products, -NEAREST)[-NEAREST]


def found(matrix, vector, given):
    """How many of the ten nearest were given."""
    products, least = truly(matrix, vector)
    return sum(products[number] >= least - SAME for number in set(given))


class Node:
    """The node's index over these rows."""

    def __init__(self, folder, matrix, queries, profile):
        paths = [folder / "rows", folder / "queries"]
        for path, rows in zip(paths, (matrix, queries)):
            rows.astype("<f4").tofile(path)
        command = ["cargo", "run", "--quiet", "--locked", "-p", "meshhost", "--features", "bench", "--example", "index"]
        # The crate itself is optimised in any case.
        command += ["--profile", profile, "--config", "profile.dev.package.meshhost.opt-level=3"]
        command += ["--", str(matrix.shape[1]), *map(str, paths)]
        self.process = subprocess.Popen(command, cwd=figures.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.put, self.first = self.said("put"), self.said("first")

    def line(self):
        line = self.process.stdout.readline().split()
        return line or sys.exit("the index ended")

    def said(self, word):
        said, seconds = self.line()
        assert said == word
        return float(seconds)

    def search(self, number):
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        spent, *rows = map(int, self.line())
        return spent / 1000, rows

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def compare(figure, kind, options):
    rows, dimensions, searches = options.rows, options.dimensions, options.searches
    matrix, queries = made(kind, rows, searches, dimensions)
    with tempfile.TemporaryDirectory() as folder:
        node = Node(pathlib.Path(folder), matrix, queries, options.profile)
        ours, theirs, ours_given, theirs_given = [], [], [], []
        for first in range(0, searches, TURN):
            turn = range(first, min(first + TURN, searches))
            time.sleep(PAUSE)
            for number in turn:
                spent, given = node.search(number)
                ours.append(spent)
                ours_given.append(given)
            time.sleep(PAUSE)
            for number in turn:
                begun = time.perf_counter()
                given = nearest(matrix, queries[number])
                theirs.append((time.perf_counter() - begun) * 1000)
                theirs_given.append(given)
        node.end()
    ours_found = sum(found(matrix, query, given) for query, given in zip(queries, ours_given))
    theirs_found = sum(found(matrix, query, given) for query, given in zip(queries, theirs_given))
    median, most = (lambda one: numpy.percentile(one, 50)), (lambda one: numpy.percentile(one, 90))
    asked, ratio = searches * NEAREST, median(ours) / median(theirs)
    how = f"{searches} searches, load {os.getloadavg()[0]:.1f}; put in {node.put:.1f} s, first {node.first * 1000:.0f} ms"
    figure.shown(f"numpy, {rows:,} x {dimensions} {kind}", f"{median(theirs):.2f} ms (p90 {most(theirs):.2f})", how)
    figure.must("the index beside that", f"{median(ours):.2f} ms (p90 {most(ours):.2f}), {ratio:.2f} of it",
                "≤ 1.0 of it", ratio <= 1)
    figure.must("of the ten nearest found", f"{ours_found / asked:.4f}, numpy {theirs_found / asked:.4f}",
                "all", ours_found == asked)


def main():
    parser = figures.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--profile", default="dev", help="cargo's profile for the node's side")
    options = parser.parse_args()
    figure = figures.Figure(f"inference: search in vectors, numpy {numpy.__version__}")
    for kind in ("without order", "in clusters"):
        compare(figure, kind, options)
    figure.print(options.json)


if __name__ == "__main__":
    main()
