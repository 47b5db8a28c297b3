"""Two hosts with a cluster of Ray, the second of which is cut off in the middle of a run.

    sudo python experiments/trust/cut_off.py

The hosts are network namespaces of this machine, joined by one cable (Linux; needs root and `ip`).
The driver and the head of the cluster are on the first. When the run has begun, the cable is
pulled: the second host lives on, but hears and says nothing. The run must end, with the bits of a
run in one process. With --again the cable is put back after a while, and the host may join again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psro
from psro.runs import seeds

sys.path.insert(0, str(Path(__file__).parents[1] / "scaling"))
from executors import bits  # noqa: E402

HOSTS = {"psro-a": "10.77.0.1", "psro-b": "10.77.0.2"}
PORT = 6399
SECRET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""The cluster's own: its nodes and its driver know it, and nobody else."""
CONFIG = psro.RunConfig(
    hidden_size=8, iterations=6, tolerance=0,
    ppo=psro.PPOConfig(decisions=65_536, num_envs=64, num_strata=4),
)  # fmt: skip
SEEDS = 4


def ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=not check)


def make_hosts() -> None:
    first, second = HOSTS
    for host in HOSTS:
        ip("netns", "add", host)
    ip("link", "add", "cable-a", "netns", first, "type", "veth", "peer", "cable-b", "netns", second)
    for host, address in HOSTS.items():
        cable = f"cable-{host[-1]}"
        ip("-n", host, "addr", "add", f"{address}/24", "dev", cable)
        for device in (cable, "lo"):
            ip("-n", host, "link", "set", device, "up")


def on(host: str, *command: str, **how) -> subprocess.Popen:
    command = ["ip", "netns", "exec", host, sys.executable, *command]
    return subprocess.Popen(command, env={**os.environ, **SECRET}, **how)


def ray_node(host: str, *more: str) -> subprocess.Popen:
    """Its processes, until it is ended."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = ("-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", *more)
    return on(host, *command, f"--node-ip-address={HOSTS[host]}", **quiet)


def committed(folder: Path) -> int:
    """Iterations of all seeds on disk."""
    return len(list(folder.glob("seed-*/policies/*.safetensors")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--again", type=float, help="seconds after which the cable is put back")
    options = parser.parse_args()
    first, second = HOSTS
    nodes: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "run.json").write_text(json.dumps(dataclasses.asdict(CONFIG)))
        seeds.run_many(CONFIG, SEEDS, place / "alone")
        try:
            make_hosts()
            address = f"{HOSTS[first]}:{PORT}"
            nodes.append(ray_node(first, "--head", f"--port={PORT}", "--include-dashboard=false"))
            time.sleep(15)
            nodes.append(ray_node(second, f"--address={address}"))
            time.sleep(15)
            driver = on(
                first, "-m", "psro", "run", "--config", str(place / "run.json"),
                "--seeds", str(SEEDS), "--out", str(place / "spread"),
                "--executor", "ray", "--ray.address", address,
            )  # fmt: skip
            nodes.append(driver)
            while committed(place / "spread") < SEEDS + 1:
                assert driver.poll() is None, "it ended before the cable was pulled"
                time.sleep(0.2)
            ip("-n", second, "link", "set", "cable-b", "down")
            pulled = time.monotonic()
            print(f"pulled after {committed(place / 'spread')} iterations of all seeds", flush=True)
            if options.again:
                time.sleep(options.again)
                ip("-n", second, "link", "set", "cable-b", "up")
            assert driver.wait() == 0
            print(f"ended {time.monotonic() - pulled:.1f} s after the cable was pulled")
            assert bits(place / "spread") == bits(place / "alone")
            print("same bits")
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait(30)
            for host in HOSTS:
                ip("netns", "del", host, check=False)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("network namespaces need root")
    main()
