"""What the programs in Python here share: rows as the other figures print them, and a node to measure."""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine():
    """Processor, cores, kernel and load, in one line without names of this machine."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    names = [line.split(": ", 1)[1] for line in lines if line.startswith("model name")]
    name = names[0] if names else "an unknown processor"
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.2f}"


class Figure:
    """The rows of one figure."""

    def __init__(self, name):
        self.name, self.machine, self.rows = name, machine(), []

    def shown(self, what, reached, method=""):
        """A number that only explains others."""
        self.rows.append({"what": what, "reached": reached, "must": None, "ok": None, "method": method})

    def must(self, what, reached, must, ok, method=""):
        """A number that has to be reached."""
        self.rows.append({"what": what, "reached": reached, "must": must, "ok": bool(ok), "method": method})

    def print(self, as_json):
        if as_json:
            print(json.dumps({"figure": self.name, "machine": self.machine, "rows": self.rows, "error": None}))
            return
        print(f"\n{self.machine}\n\n{self.name}")
        for row in self.rows:
            verdict = {None: "", True: f"must {row['must']}: reached", False: f"must {row['must']}: NOT REACHED"}
            print(f"  {row['what']:<52} {row['reached']:<40} {verdict[row['ok']]}".rstrip())
            if row["method"]:
                print(f"      {row['method']}")
        sys.stdout.flush()


def need(*paths):
    """Ends the program, saying why, where a file is not there."""
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        print(f"skipped: no {', '.join(map(str, missing))}, run cargo xtask models")
        sys.exit()


def library():
    """ONNX Runtime as `cargo xtask models` fetches it."""
    found = sorted((ROOT / "target/runtimes/onnxruntime").glob("*/libonnxruntime.*"))
    return str(found[-1]) if found else ""


def arguments(description):
    """What all of them take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each figure")
    return parser


def node_arguments(parser):
    """What those take that measure a node."""
    parser.add_argument("--binary", default=str(ROOT / "target/release/meshhost"), help="the program meshhost")
    parser.add_argument("--component", help="the plugin, when it is not the one in the binary: a file")
    parser.add_argument("--library", default=library(), help="ONNX Runtime's library; empty: the embedded engine")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a session, on both sides")


class Node:
    """A node that serves, with one plugin and its models, and a data directory of its own."""

    def __init__(self, options, plugin, package):
        self.folder = tempfile.TemporaryDirectory()
        home = pathlib.Path(self.folder.name)
        used = f"library = {json.dumps(os.path.abspath(options.library))}\n" if options.library else ""
        engines = "" if options.library else 'engines = "embedded"\n'
        (home / "bench.toml").write_text(f"[inference]\nthreads = {options.threads}\n{engines}{used}")
        self.command = [options.binary, "--data", str(home / "data")]
        configured = ["--config", str(home / "bench.toml")]
        self.run(*configured, "model", "add", package, "--from", str(ROOT / "target/models" / package))
        self.run(*configured, "plugin", "install", options.component or plugin, "--yes")
        serve = [*self.command, *configured, "serve", "--allow-root"]
        self.serving = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if "serves at" not in self.serving.stderr.readline():
            sys.exit("the node does not serve")
        # What it says later is read away, so that it never waits for that.
        threading.Thread(target=self.serving.stderr.read, daemon=True).start()

    def run(self, *arguments):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"meshhost {' '.join(arguments)[:200]}: {done.stderr or done.stdout}")
        return done.stdout

    def call(self, capability, *inputs):
        """The whole answer, with what the call cost."""
        return json.loads(self.run("--json", "call", capability, *inputs))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.serving.terminate()
        self.serving.wait()
        self.folder.cleanup()


def spent(answer):
    """Milliseconds of a call, and of those the models' runs."""
    runs = sum(model["run_us"] for model in answer.get("models", []))
    return answer["usage"]["wall_us"] / 1000, runs / 1000
