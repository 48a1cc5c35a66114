#!/usr/bin/env python3
"""Compares the plugin `ocr` in a node that serves with the Python package rapidocr-onnxruntime 1.4.4, page by
page. `cargo xtask bench inference` runs it, with the packages of `requirements.txt`; alone:

    tests/bench/ocr.py --binary PATH_OF_MESHHOST

The pages are made by the plugin's example `ocr`, so what stands on them is known: several fonts, sizes,
columns, noise, turns and scans. Both read the same PNG files with the same models, in ONNX Runtime with the
same number of threads. `--pages FOLDER` compares pictures of yours instead: `NAME.png`, and `NAME.txt` where
what stands on it is known. `--details` shows each page, and the lines that differ.

Text: lines are paired by where they stand, and differences counted by edit distance. What stands on the pages
is compared without spaces and in any order of lines. Time: of one page, the call as the node measures it
beside the package in its process, in turns, each page once; of several at once, four pages in flight, programs
that call included, beside the package page by page and with four threads, whichever is faster.
"""

import collections
import concurrent.futures
import functools
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import figures

# Pages in flight, and how many are read so.
AT_ONCE = 4
SEVERAL = 12
ALIKE_MIN = 0.99
ONE_MIN = 1.0
SEVERAL_MIN = 1.2


def distance(one, other):
    """Characters to insert, remove or replace to make one text the other."""
    row = list(range(len(other) + 1))
    for index, mine in enumerate(one):
        diagonal, row[0] = index, index + 1
        for column, theirs in enumerate(other):
            replaced = diagonal + (mine != theirs)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
    return row[-1]


def made(folder):
    """The plugin's pages."""
    command = ["cargo", "run", "--quiet", "--locked", "-p", "meshhost-ocr", "--example", "ocr"]
    if subprocess.run([*command, "--", folder], cwd=figures.ROOT / "plugins").returncode != 0:
        sys.exit("the plugin's example failed")


Read = collections.namedtuple("Read", "lines spent models")
Line = collections.namedtuple("Line", "corners text")


def by_plugin(node, file):
    """What the plugin reads, and the milliseconds of the call and of its models."""
    answer = node.call("ocr.recognize", f"image=@{file}")
    corners = ("top_left", "top_right", "bottom_right", "bottom_left")
    lines = []
    for line in answer["data"]["lines"]:
        points = [line["region"][corner] for corner in corners]
        lines.append(Line([(point["x"], point["y"]) for point in points], line["text"]))
    return Read(lines, *figures.spent(answer))


def by_package(engine, file):
    """The same as the package reads it."""
    begun = time.perf_counter()
    found, spent = engine(str(file))
    took = (time.perf_counter() - begun) * 1000
    return Read([Line([tuple(c) for c in box], text) for box, text, _ in found or []], took, sum(spent or [0]) * 1000)


def middle(corners):
    return sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4


def paired(theirs, ours):
    """Each line of the package with the plugin's nearest one, and what has no partner."""
    rest = list(ours)
    pairs = []
    for corners, text in theirs:
        x, y = middle(corners)
        height = max(abs(corners[3][1] - corners[0][1]), abs(corners[1][0] - corners[0][0]) / 20, 8)
        near = [line for line in rest if abs(middle(line[0])[1] - y) + abs(middle(line[0])[0] - x) < height]
        best = min(near, key=lambda line: distance(text, line.text), default=None)
        if best is not None:
            rest.remove(best)
        pairs.append(((corners, text), best))
    return pairs, rest


def inside(text, line):
    """The part of a line that is most like a text: characters that are alike, and from where to where."""
    place = line.find(text)
    if place >= 0:
        return len(text), place, place + len(text)
    # Of each place in the line: changes up to there, and where that part begins.
    row = [(0, column) for column in range(len(line) + 1)]
    for index, mine in enumerate(text):
        last, row = row, [(index + 1, 0)]
        for column, theirs in enumerate(line):
            changed, begins = last[column]
            options = [(changed + (mine != theirs), begins)]
            options += [(changes + 1, begin) for changes, begin in (last[column + 1], row[column])]
            row.append(min(options, key=lambda option: option[0]))
    changes, begins, ends = min((*cell, column) for column, cell in enumerate(row))
    return max(len(text), ends - begins) - changes, begins, ends


def right(lines, truth):
    """Characters of the truth that were read, without spaces and in any order: a line may be read in pieces, and
    no part of it counts twice."""
    left = ["".join(line.split()) for line in truth]
    correct = 0
    for text in sorted(("".join(line.text.split()) for line in lines), key=len, reverse=True):
        if not left:
            break
        (alike, begins, ends), number = max((inside(text, line), number) for number, line in enumerate(left))
        if 2 * alike > len(text):
            correct += alike
            left[number] = left[number][:begins] + "\0" + left[number][ends:]
    return correct


class Page:
    """What both read of a page, in characters."""

    def __init__(self, file, mine, his):
        pairs, rest = paired(his.lines, mine.lines)
        self.name, self.mine, self.his, self.pairs, self.rest = file.stem, mine, his, pairs, rest
        self.of = sum(len(text) for (_, text), _ in pairs)
        wrong = sum(distance(text, other.text if other else "") for (_, text), other in pairs)
        self.alike = self.of - wrong - sum(len(text) for _, text in rest)
        known = file.with_suffix(".txt")
        truth = known.read_text().splitlines() if known.exists() else []
        self.true = sum(len("".join(line.split())) for line in truth)
        self.plugin_right, self.package_right = right(mine.lines, truth), right(his.lines, truth)

    def show(self):
        print(f"{self.name:<18}{self.alike:>6} of {self.of:<6} alike, of {self.true:<6} plugin {self.plugin_right:<6}"
              f" package {self.package_right:<6} {self.mine.spent:>7.0f} ms ({self.mine.models:.0f} in models),"
              f" package {self.his.spent:>7.0f} ms", flush=True)
        for (_, text), other in self.pairs:
            if other is None or other.text != text:
                print(f"    package {text!r}\n    plugin  {other.text if other else None!r}")
        for _, text in self.rest:
            print(f"    plugin alone {text!r}")


def main():
    parser = figures.arguments(__doc__)
    figures.node_arguments(parser)
    parser.add_argument("--pages", help="a folder of PNG files; absent means to make pages")
    parser.add_argument("--details", action="store_true", help="show each page, and the lines that differ")
    options = parser.parse_args()
    figures.need(figures.ROOT / "target/models/ppocr/rec.onnx")
    with tempfile.TemporaryDirectory() as folder:
        if not options.pages:
            made(folder)
        files = sorted(pathlib.Path(options.pages or folder).resolve().glob("*.png"))
        if not files:
            print("skipped: there are no pages; the fonts are those of Debian's package fonts-dejavu")
            return
        with figures.Node(options, "ocr", "ppocr") as node:
            compare(options, node, files)


def compare(options, node, files):
    from rapidocr_onnxruntime import RapidOCR

    make = functools.partial(RapidOCR, intra_op_num_threads=options.threads)
    engine, pages = make(), []
    # Both load their models before.
    by_plugin(node, files[0]), by_package(engine, files[0])
    for file in files:
        page = Page(file, by_plugin(node, file), by_package(engine, file))
        pages.append(page)
        if options.details:
            page.show()
    figure = figures.Figure("inference: OCR")
    texts(figure, pages)
    one(figure, pages)
    several(figure, node, make, engine, files[:SEVERAL])
    figure.print(options.json)


def texts(figure, pages):
    alike, of = sum(page.alike for page in pages), sum(page.of for page in pages)
    share = alike / max(of, 1)
    figure.must(f"text like the package's, {len(pages)} pages", f"{100 * share:.2f} % of {of} characters",
                "≥ 99 %", share >= ALIKE_MIN)
    true = sum(page.true for page in pages)
    if true:
        mine, his = sum(page.plugin_right for page in pages), sum(page.package_right for page in pages)
        figure.must(f"right, of {true} characters on the pages", f"{100 * mine / true:.2f} %",
                    f"≥ the package's {100 * his / true:.2f} %", mine >= his)


def one(figure, pages):
    times = statistics.median(page.his.spent / page.mine.spent for page in pages)
    mine, his = (sum(read.spent for read in side) for side in zip(*((page.mine, page.his) for page in pages)))
    models = sum(page.mine.models for page in pages)
    figure.must("one page at a time, beside the package", f"{times:.2f} times as fast (all: {his / mine:.2f})",
                "≥ 1.0 times", times >= ONE_MIN, "median of the pages; the call as the node measures it")
    figure.shown("pages a second", f"{1000 * len(pages) / mine:.2f}, the package {1000 * len(pages) / his:.2f}")
    figure.shown("share of a call outside of the models", f"{100 * (1 - models / mine):.0f} %")


def several(figure, node, make, engine, files):
    own = threading.local()

    def in_thread(file):
        # Each thread has its own, since nothing says that one may be shared.
        own.engine = getattr(own, "engine", None) or make()
        by_package(own.engine, file)

    def rate(read, at_once):
        with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            list(threads.map(read, files[:at_once]))
            begun = time.perf_counter()
            list(threads.map(read, files))
            return len(files) / (time.perf_counter() - begun)

    mine = rate(lambda file: by_plugin(node, file), AT_ONCE)
    his = {"page by page": rate(lambda file: by_package(engine, file), 1), "in four threads": rate(in_thread, AT_ONCE)}
    how, best = max(his.items(), key=lambda one: one[1])
    figure.must(f"{AT_ONCE} pages at once, beside the package {how}",
                f"{mine / best:.2f} times ({mine:.2f} and {best:.2f} pages a second)",
                "≥ 1.2 times", mine / best >= SEVERAL_MIN)


if __name__ == "__main__":
    main()
