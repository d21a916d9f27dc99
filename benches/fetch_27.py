#!/usr/bin/env python3
"""Fetch one file from 27 holder processes with 8 of them killed, beside its peers.

    cargo build --release -p pop-node -p benches
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install libtorrent   # optional
    /tmp/venv/bin/python benches/fetch_27.py [--mib 512] [--repeats 5]

Each repeat runs every case once, one after the other, so that the machine's mood is shared:

- pop: `pop-node get -o` from 27 `pop-node run` processes, 8 of them killed before: lookup, link
  set-up, verification, decoding and decryption, and the file written and synced included.
- raw: the same number of bytes over one libp2p stream (TCP, Noise, Yamux), thrown away.
- libtorrent: one seeder, one leecher, TCP, no DHT, SHA-1 of pieces of 1 MiB checked, unencrypted.

Publishing, seeding and starting the holders are outside what is measured. CPU is user and system
time of all processes of a case: of those that live on from /proc/PID/stat, of the others from
wait4. Data lies in a tmpfs if there is room, so that no disk is measured.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

NODES, KILLED = 27, 8
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("POP_")}


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def timed(command, out=subprocess.DEVNULL):
    """Run to the end: wall seconds and CPU seconds. Standard output goes to `out`."""
    started = time.monotonic()
    child = subprocess.Popen(command, env=environment(), stdout=out)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{command[:2]} ended with {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def checked(command):
    out = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    return out.stdout


class Child:
    """A process that ends when its standard input closes, so with this script."""

    def __init__(self, command, log=None):
        self.process = subprocess.Popen(
            command, env=environment(), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log)
        self.ready = self.process.stdout.readline().strip()
        if not self.ready:
            raise RuntimeError(f"{command[:2]} did not start")

    def cpu_s(self):
        return cpu_s(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Pop:
    name = "pop-node, 27 holders, 8 dead"

    def __init__(self, node, scratch, source):
        self.node, self.scratch, self.source = node, scratch, source
        self.holders, first = [], None
        for index in range(NODES):
            home = os.path.join(scratch, f"node{index}")
            os.makedirs(home)
            command = [node, "run", "--init", "--no-stake", "--json", "--exit-on-stdin-eof",
                       "--http-listen", "off", "--web-listen", "off", "--listen", "/ip4/127.0.0.1/tcp/0",
                       "--diversity-exempt-loopback", "--data-dir", home]
            if first:
                command.append(f"--bootstrap={first}")
            with open(os.path.join(home, "log"), "wb") as log:
                child = Child(command, log)
            child.address = json.loads(child.ready)["addresses"][0]
            first = first or child.address
            self.holders.append(child)
        everybody = ",".join(child.address for child in self.holders)
        publisher = os.path.join(scratch, "publisher")
        checked([node, "init", "--data-dir", publisher])
        out = checked([node, "publish", source, "--json", "--diversity-exempt-loopback",
                       "--data-dir", publisher, f"--bootstrap={everybody}"])
        published = json.loads(out.splitlines()[-1])
        self.link = published["link"]
        print(f"published: any {published['k']} of {published['n']}, "
              f"{published['segments']} segments, shards of {published['shard_bytes']} bytes")
        for child in self.holders[:KILLED]:
            child.kill()
        self.alive = self.holders[KILLED:]
        self.bootstrap = ",".join(child.address for child in self.alive[:3])
        self.expected = digest(source)

    def run(self, *flags):
        target = os.path.join(self.scratch, "fetched")
        before = sum(child.cpu_s() for child in self.alive)
        wall, own = timed([self.node, "get", self.link, "-o", target, "--json",
                           "--data-dir", os.path.join(self.scratch, "viewer"),
                           "--diversity-exempt-loopback", f"--bootstrap={self.bootstrap}", *flags])
        holders = sum(child.cpu_s() for child in self.alive) - before
        if digest(target) != self.expected:
            raise RuntimeError("the fetched file differs")
        os.remove(target)
        self.split = (own, holders)
        return wall, own + holders

    def close(self):
        for child in self.holders:
            child.kill()


class Raw:
    name = "raw libp2p stream"

    def __init__(self, peer, length):
        self.peer, self.length, self.server = peer, length, Child([peer, "raw"])

    def run(self):
        before = self.server.cpu_s()
        wall, own = timed([self.peer, "fetch-raw", self.server.ready, str(self.length)])
        return wall, own + self.server.cpu_s() - before

    def close(self):
        self.server.kill()


class Torrent:
    name = "libtorrent (plain, 1 seeder)"

    def __init__(self, scratch, source):
        import libtorrent as lt
        files = lt.file_storage()
        lt.add_files(files, source)
        torrent = lt.create_torrent(files, piece_size=MIB, flags=lt.create_torrent.v1_only)
        lt.set_piece_hashes(torrent, os.path.dirname(source))
        self.torrent = os.path.join(scratch, "film.torrent")
        with open(self.torrent, "wb") as out:
            out.write(lt.bencode(torrent.generate()))
        self.scratch = scratch
        self.seeder = Child([sys.executable, __file__, "--seed", self.torrent,
                             os.path.dirname(source)])

    def run(self):
        target = os.path.join(self.scratch, "leech")
        before = self.seeder.cpu_s()
        wall, own = timed([sys.executable, __file__, "--leech", self.torrent, target,
                           self.seeder.ready])
        shutil.rmtree(target)
        return wall, own + self.seeder.cpu_s() - before

    def close(self):
        self.seeder.kill()


def torrent_session(torrent, directory):
    import libtorrent as lt
    session = lt.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
        "enable_upnp": False, "enable_natpmp": False, "enable_outgoing_utp": False,
        "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True,
        "alert_mask": 0,
        "out_enc_policy": int(lt.enc_policy.disabled),
        "in_enc_policy": int(lt.enc_policy.disabled),
    })
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(torrent)
    parameters.save_path = directory
    return session, session.add_torrent(parameters)


def seed(torrent, directory):
    session, handle = torrent_session(torrent, directory)
    while not handle.status().is_seeding:
        time.sleep(0.05)
    print(session.listen_port(), flush=True)
    sys.stdin.read()


def leech(torrent, directory, port):
    _session, handle = torrent_session(torrent, directory)
    handle.connect_peer(("127.0.0.1", int(port)))
    while not handle.status().is_seeding:
        time.sleep(0.005)
    os._exit(0)


def digest(path):
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def scratch_root(wanted):
    """A tmpfs with room for `wanted` bytes, else the temporary directory."""
    if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > wanted:
        return "/dev/shm"
    return None


def generate(path, length):
    with open(path, "wb") as out:
        for _ in range(length // MIB):
            out.write(os.urandom(MIB))


def report(cases, results, length):
    gigabytes = length / 1e9

    def line(values):
        return f"{statistics.median(values):8.2f} ({min(values):.2f}..{max(values):.2f})"

    print(f"\n{length} bytes, n = {len(results[cases[0].name])}; median (min..max)")
    print(f"{'':32}{'MB/s':>26}{'CPU s/GB, all processes':>30}")
    speed, cost = {}, {}
    for case in cases:
        speed[case.name] = [length / 1e6 / wall for wall, _ in results[case.name]]
        cost[case.name] = [cpu / gigabytes for _, cpu in results[case.name]]
        print(f"{case.name:32}{line(speed[case.name]):>26}{line(cost[case.name]):>30}")
    pop = cases[0].name
    for other in cases[1:]:
        rate = [a / b for a, b in zip(speed[pop], speed[other.name])]
        cpu = [a / b for a, b in zip(cost[pop], cost[other.name])]
        print(f"pop / {other.name:26}{line(rate):>26}{line(cpu):>30}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=512, help="size of the file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--target", default=os.path.join(ROOT, "target", "release"))
    options = parser.parse_args()
    length = options.mib * MIB
    node = os.path.join(options.target, "pop-node")
    peer = os.path.join(options.target, "transfer_peer")
    scratch = tempfile.mkdtemp(prefix="pop-fetch-", dir=scratch_root(6 * length))
    cases = []
    try:
        os.makedirs(os.path.join(scratch, "source"))
        source = os.path.join(scratch, "source", "film.bin")
        generate(source, length)
        cases.append(Pop(node, scratch, source))
        cases.append(Raw(peer, length))
        try:
            cases.append(Torrent(scratch, source))
        except ImportError:
            print("libtorrent is not installed: left out")
        results = {case.name: [] for case in cases}
        for repeat in range(options.repeats):
            for case in cases:
                wall, cpu = case.run()
                results[case.name].append((wall, cpu))
                extra = ""
                if isinstance(case, Pop):
                    extra = f" (viewer {case.split[0]:.2f}, holders {case.split[1]:.2f})"
                load = os.getloadavg()[0]
                print(f"{repeat + 1}: {case.name}: {length / 1e6 / wall:.0f} MB/s, "
                      f"{cpu:.2f} CPU s{extra}, load {load:.1f}", flush=True)
        report(cases, results, length)
    finally:
        for case in cases:
            case.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seed"]:
        seed(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--leech"]:
        leech(*sys.argv[2:5])
    else:
        main()
