#!/usr/bin/env python3
"""What paying costs: the same fetch from 27 holders, 8 of them dead, paid by voucher and for free,
and for free with no more on its way than payment lets be (a step paid ahead and one unpaid, for each holder).

    cargo build --release -p pop-node
    python3 benches/fetch_paid.py [--mib 1024] [--repeats 5]

Two networks of 27 `pop-node run` processes lie side by side, equal but that one has a ledger and asks
its default price. Each repeat fetches once in each way, in turn. CPU is that of all processes of a
network, the ledger's keeper included. Vouchers are redeemed once an hour, so not in these figures (the
`incentive` benchmark has them), nor is what a disk takes to sync records: they lie in the same tmpfs as
the shards.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile

import fetch_27
from fetch_27 import KILLED, NODES, Child, checked, digest, timed

WANTED_BYTES, WANTED_CPU = 0.005, 0.05
STEP_MIB = 0.5
BOUNDED_MIB = int((NODES - KILLED) * 2 * STEP_MIB * 5 / 4)


class Free(fetch_27.Pop):
    name = "free"


class Bounded:
    """Free, from the same network, with as much memory for shards as 19 holders may have on their way,
    and a quarter more for those that are here and not decoded."""

    name = "bounded"

    def __init__(self, free):
        self.free = free

    def run(self):
        measured = self.free.run(f"--fetch-bytes-max={BOUNDED_MIB}MiB")
        self.split = self.free.split
        return measured

    def close(self):
        pass


class Paid:
    name = "paid"

    def __init__(self, node, scratch, source):
        self.node, self.scratch = node, scratch
        keeper = self.home("keeper")
        checked([node, "init", "--data-dir", keeper])
        checked([node, "ledger", "create", "--json", "--data-dir", keeper])
        run = [node, "run", "--init", "--no-stake", "--json", "--exit-on-stdin-eof",
               "--http-listen", "off", "--web-listen", "off", "--listen", "/ip4/127.0.0.1/tcp/0",
               "--diversity-exempt-loopback"]
        self.keeper = self.start(run + ["--serve-ledger", "--price=0", "--price-max=0",
                                        "--quota-bytes=1kB", "--data-dir", keeper], keeper)
        self.ledger = self.keeper.address
        self.viewer = self.home("viewer")
        wallet = json.loads(checked([node, "init", "--json", "--data-dir", self.viewer]))["wallet"]
        checked([node, "ledger", "mint", "--to", wallet, "1000", "--json", "--data-dir", keeper])
        checked([node, "wallet", "deposit", "900", "--json", "--data-dir", self.viewer,
                 f"--ledger={self.ledger}"])
        self.holders = []
        for index in range(NODES):
            home = self.home(f"node{index}")
            command = run + [f"--ledger={self.ledger}", f"--bootstrap={self.ledger}",
                             "--price-max=0",
                             "--data-dir", home]
            self.holders.append(self.start(command, home))
        everybody = ",".join(child.address for child in self.holders)
        publisher = self.home("publisher")
        checked([node, "init", "--data-dir", publisher])
        out = checked([node, "publish", source, "--json", "--diversity-exempt-loopback",
                       "--data-dir", publisher, f"--bootstrap={everybody}"])
        self.link = json.loads(out.splitlines()[-1])["link"]
        for child in self.holders[:KILLED]:
            child.kill()
        self.alive = self.holders[KILLED:] + [self.keeper]
        self.bootstrap = ",".join(child.address for child in self.alive[:3])
        self.expected = digest(source)
        self.reports = []

    def home(self, name):
        home = os.path.join(self.scratch, name)
        os.makedirs(home, exist_ok=True)
        return home

    def start(self, command, home):
        with open(os.path.join(home, "log"), "wb") as log:
            child = Child(command, log)
        child.address = json.loads(child.ready)["addresses"][0]
        return child

    def run(self):
        target = os.path.join(self.scratch, "fetched")
        out = os.path.join(self.scratch, "report")
        before = sum(child.cpu_s() for child in self.alive)
        with open(out, "w", encoding="utf-8") as report:
            wall, own = timed([self.node, "get", self.link, "-o", target, "--json",
                               "--data-dir", self.viewer, f"--ledger={self.ledger}",
                               "--diversity-exempt-loopback", f"--bootstrap={self.bootstrap}"],
                              report)
        holders = sum(child.cpu_s() for child in self.alive) - before
        if digest(target) != self.expected:
            raise RuntimeError("the fetched file differs")
        os.remove(target)
        with open(out, encoding="utf-8") as report:
            self.reports.append(json.loads(report.read().splitlines()[-1]))
        self.split = (own, holders)
        return wall, own + holders

    def close(self):
        for child in self.holders + [self.keeper]:
            child.kill()


def line(values):
    return f"{statistics.median(values):.4f} ({min(values):.4f}..{max(values):.4f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--target", default=os.path.join(fetch_27.ROOT, "target", "release"))
    options = parser.parse_args()
    length = options.mib * fetch_27.MIB
    node = os.path.join(options.target, "pop-node")
    scratch = tempfile.mkdtemp(prefix="pop-paid-", dir=fetch_27.scratch_root(8 * length))
    cases = []
    try:
        source = os.path.join(scratch, "film.bin")
        fetch_27.generate(source, length)
        for kind in (Free, Paid):
            place = os.path.join(scratch, kind.__name__)
            os.makedirs(place)
            cases.append(kind(node, place, source))
        cases.insert(1, Bounded(cases[0]))
        results = {case.name: [] for case in cases}
        for repeat in range(options.repeats):
            for case in cases:
                wall, cpu = case.run()
                results[case.name].append((wall, cpu))
                print(f"{repeat + 1}: {case.name}: {length / 1e6 / wall:.0f} MB/s, {cpu:.2f} CPU s "
                      f"(viewer {case.split[0]:.2f}, others {case.split[1]:.2f}), "
                      f"load {os.getloadavg()[0]:.1f}", flush=True)
        free, bounded, paid = results["free"], results["bounded"], results["paid"]
        reports = cases[2].reports
        print(f"\n{length} bytes, n = {options.repeats}; median (min..max)")
        share = [it["payment_bytes"] / it["shard_bytes"] for it in reports]
        print(f"payment messages / shard bytes   {line(share)}   wanted <= {WANTED_BYTES}")
        more = [b[1] / a[1] - 1 for a, b in zip(free, paid)]
        print(f"CPU paid / free - 1              {line(more)}   wanted <= {WANTED_CPU}")
        window = [b[1] / a[1] - 1 for a, b in zip(free, bounded)]
        print(f"CPU bounded / free - 1           {line(window)}   {BOUNDED_MIB} MiB")
        rest = [b[1] / a[1] - 1 for a, b in zip(bounded, paid)]
        print(f"CPU paid / bounded - 1           {line(rest)}")
        slower = [b[0] / a[0] - 1 for a, b in zip(free, paid)]
        print(f"time paid / free - 1             {line(slower)}")
        print(f"vouchers a fetch                 {line([it['vouchers'] for it in reports])}")
        print(f"paid a fetch, POP                {reports[-1]['paid']}")
    finally:
        for case in cases:
            case.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
