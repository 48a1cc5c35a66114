#!/usr/bin/env python3
"""Compares the plugin `ocr` with the Python package rapidocr-onnxruntime 1.4.4, page by page.

    python3 -m venv target/ocr-venv && target/ocr-venv/bin/pip install rapidocr-onnxruntime==1.4.4
    MESHHOST_MODELS_DIR=$PWD/target/models target/ocr-venv/bin/python tests/bench/ocr.py

The pages are made by the plugin's example `ocr`, so what stands on them is known. Both read the same
PNG files with the same models; the plugin's code runs natively, its models on another engine (rten)
than the package's (ONNX Runtime). `--pages FOLDER` compares pictures of yours instead: `NAME.png`, and
`NAME.txt` where what stands on it is known. `--details` shows the lines that differ.

Printed are, for each page: characters of the package's answer and how many of them the plugin gives
alike (lines are paired by where they stand, differences counted by edit distance); characters that
stand on the page and how many of them each of the two gives, without spaces and in any order of lines;
the farthest that two corners of a pair are apart, in pixels; and milliseconds of the plugin, all and
inside of the models.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


def example(arguments, profile):
    """Runs the plugin's example and gives its output in lines."""
    command = ["cargo", "run", "--quiet", "--locked", *profile, "-p", "meshhost-ocr"]
    command += ["--example", "ocr", "--", *arguments]
    done = subprocess.run(command, cwd=ROOT / "plugins", stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("the plugin's example failed")
    return done.stdout.splitlines()


def plugin(files, profile):
    """For each file its lines of corners and text, and milliseconds."""
    pages = {}
    for row in example(["read", *map(str, files)], profile):
        kind, *fields = row.split("\t")
        if kind == "failure":
            sys.exit(row)
        if kind == "file":
            name, spent, models = fields
            lines = []
            pages[name] = (lines, int(spent), int(models))
        else:
            _confidence, _angle, corners, text = fields
            numbers = list(map(float, corners.split()))
            lines.append((list(zip(numbers[::2], numbers[1::2])), text))
    return pages


def package(files):
    """The same as the package reads it."""
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()
    pages = {}
    for file in files:
        found, _ = engine(str(file))
        pages[str(file)] = [([tuple(c) for c in box], text) for box, text, _ in found or []]
    return pages


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
        best = min(near, key=lambda line: distance(text, line[1]), default=None)
        if best is not None:
            rest.remove(best)
        pairs.append(((corners, text), best))
    return pairs, rest


def right(lines, truth):
    """Characters of the truth that were read, without spaces: each true line takes the nearest text."""
    read = ["".join(text.split()) for _, text in lines]
    correct = 0
    for line in truth:
        line = "".join(line.split())
        best = min(read, key=lambda text: distance(line, text), default="")
        wrong = distance(line, best)
        if wrong < len(line):
            correct += len(line) - wrong
            read.remove(best)
    return correct


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", help="a folder of PNG files; absent means to make pages")
    parser.add_argument("--details", action="store_true", help="show the lines that differ")
    parser.add_argument("--release", action="store_true", help="build the example with --release")
    arguments = parser.parse_args()
    profile = ["--release"] if arguments.release else []
    os.environ.setdefault("MESHHOST_MODELS_DIR", str(ROOT / "target/models"))
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(arguments.pages or made).resolve()
        if not arguments.pages:
            example(["pages", made], profile)
        compare(sorted(folder.glob("*.png")), profile, arguments.details)


def compare(files, profile, details):
    if not files:
        sys.exit("there are no pages")
    ours, theirs = plugin(files, profile), package(files)
    if len(ours) != len(files):
        sys.exit("the plugin has no models: run cargo xtask models")
    totals = [0] * 7
    print(f"{'page':<20}{'alike':>14}{'plugin/truth':>16}{'package/truth':>16}{'corners':>9}{'ms':>7}{'models':>8}")
    for file in files:
        lines, spent, models = ours[str(file)]
        pairs, rest = paired(theirs[str(file)], lines)
        of = sum(len(text) for (_, text), _ in pairs)
        wrong = sum(distance(text, other[1] if other else "") for (_, text), other in pairs)
        wrong += sum(len(text) for _, text in rest)
        apart = max((max(abs(a - c), abs(b - d)) for (mine, _), other in pairs if other
                     for (a, b), (c, d) in zip(mine, other[0])), default=0)
        known = file.with_suffix(".txt")
        truth = known.read_text().splitlines() if known.exists() else []
        true = sum(len("".join(line.split())) for line in truth)
        mine, his = right(lines, truth), right(theirs[str(file)], truth)
        print(f"{file.stem:<20}{of - wrong:>7}/{of:<6}{mine:>9}/{true:<6}{his:>9}/{true:<6}{apart:>9.1f}{spent:>7}{models:>8}")
        if details:
            for (_, text), other in pairs:
                if other is None or other[1] != text:
                    print(f"    package {text!r}\n    plugin  {other[1] if other else None!r}")
            for _, text in rest:
                print(f"    plugin alone {text!r}")
        totals = [a + b for a, b in zip(totals, (of - wrong, of, mine, his, true, spent, models))]
    alike, of, mine, his, true, spent, models = totals
    print(f"{len(files)} pages: {alike} of {of} characters alike ({100 * alike / max(of, 1):.2f} %)")
    if true:
        print(f"of {true} characters on the pages, the plugin reads {mine} ({100 * mine / true:.2f} %)"
              f" and the package {his} ({100 * his / true:.2f} %)")
    print(f"{spent} ms, {100 * models / max(spent, 1):.0f} % of it inside of the models")


if __name__ == "__main__":
    main()
