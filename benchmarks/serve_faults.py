"""The service when it is hurt: an alias that moves, overload, killed replicas, a stop, a long run, a huge upload.

    python benchmarks/serve_faults.py [--only moves,overload,kills,stop,memory,upload] [--quick]

Each figure starts the service of `imgcls serve` as a process of its own, with a small network, on loopback; the load
generator shares the CPUs. Prints what was measured beside what is asked.
"""

import argparse
import json
import math
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from _load import Answer, Load, Measured, measure, quantile, start
from _victim import NAME, VERSIONS, Service, picture, served, write

CLIENTS = 16
FIGURES = ("moves", "overload", "kills", "stop", "memory", "upload")


@dataclass(frozen=True)
class Scale:
    """How much of each figure is done."""

    seconds: float
    moves: int
    minutes: float
    """Of killing."""
    every: float
    """Seconds from one kill to the next."""
    requests: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a little of each: to see that it runs")
    parser.add_argument("--only", default=",".join(FIGURES), help="which figures, separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a load where nothing else bounds it")
    parser.add_argument("--moves", type=int, default=100, help="of the alias")
    parser.add_argument("--minutes", type=float, default=10.0, help="in which replicas are killed")
    parser.add_argument("--every", type=float, default=15.0, help="seconds from one kill to the next")
    parser.add_argument("--requests", type=int, default=100_000, help="of the long run")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(FIGURES):
        parser.error(f"--only takes {', '.join(FIGURES)}; received {', '.join(sorted(unknown))}.")
    scale = Scale(options.seconds, options.moves, options.minutes, options.every, options.requests)
    if options.quick:
        scale = Scale(1.0, 3, 0.2, 5.0, 500)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # TensorFlow in a process of its own, so that nothing of it is left beside the service.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(write, root).result()
        functions = {"moves": moves, "overload": overload, "kills": kills, "stop": stop, "memory": memory}
        for figure in chosen:
            print(f"{figure}:", flush=True)
            (functions | {"upload": upload})[figure](root, scale)


def tell(what: str, measured: str, asked: str) -> None:
    """One line of a figure."""
    print(f"  {what:44} measured {measured:32} asked {asked}", flush=True)


def moves(root: Path, scale: Scale) -> None:
    """The alias moves under half the peak load."""
    from imgcls_ray.tracking.client import connect
    from imgcls_ray.tracking.location import resolve_uri

    client, jpeg = connect(resolve_uri(root, None)), picture(512, 384)
    with served(root, follow_seconds=0.2) as service:
        peak = peak_of(service, jpeg, scale.seconds)
        load = Load(service.url, jpeg, CLIENTS, scale.seconds, rate=peak / 2, keep_bodies=True)
        steady = measure(load)
        # Longer than the moves take: what comes after them is only more of the steady state.
        running = start(Load(**vars(load) | {"seconds": max(scale.seconds, 1.5 * scale.moves)}))
        time.sleep(load.warm)
        spans: list[tuple[float, float]] = []
        asker = httpx.Client(base_url=service.url, timeout=30)
        for number in range(scale.moves):
            if running.done():
                break
            version = VERSIONS[(number + 1) % len(VERSIONS)]
            began = time.monotonic()
            client.set_registered_model_alias(NAME, "champion", str(version))
            if _taken(asker, version, running):
                spans.append((began, time.monotonic()))
        asker.close()
        moved = running.result()
        during = [a for a in moved.good if any(begin <= a.at + a.seconds and a.at <= end for begin, end in spans)]
        p99 = quantile([a.seconds for a in during], 0.99)
        tell("moves that a replica followed", f"{len(spans)}", f"{scale.moves}")
        tell("requests not answered", f"{failed(moved)} of {len(moved.answers):,}", "0")
        tell("answers that fit no one version", f"{len(misfits(moved.good))}", "0")
        tell(
            "p99 in a move, of the steady one",
            f"{p99 / steady.p99:.2f} ({p99 * 1e3:.1f} of {steady.p99 * 1e3:.1f} ms)",
            "2 at most",
        )


def _taken(asker: httpx.Client, version: int, running: "Future[Measured]") -> bool:
    """Wait until the version answers; False if the load ends before."""
    while not running.done():
        if asker.get("/model").json().get("version") == str(version):
            return True
        time.sleep(0.02)
    return False


def overload(root: Path, scale: Scale) -> None:
    """Four times what it can answer, whatever it answers."""
    jpeg = picture(512, 384)
    with served(root) as service:
        peak = peak_of(service, jpeg, scale.seconds)
        before = service.memory()
        running = start(Load(service.url, jpeg, 256, scale.seconds, rate=4 * peak, timeout=30))
        most = before
        while not running.done():
            most = max(most, service.memory())
            time.sleep(0.2)
        found = running.result()
        refused = [a.seconds for a in found.answers if a.status == 503]
        odd = {status: count for status, count in found.statuses.items() if status not in (200, 503)}
        after = httpx.get(f"{service.url}/readyz", timeout=30).status_code
        share = len(found.answers) / (4 * peak * scale.seconds)
        tell("sent of what was due in time", f"{share:.2f} of 4 x {peak:.0f}/s", "-")
        tell("goodput, of the peak", f"{found.rate / peak:.2f}", "0.7 at least")
        tell(
            f"refused ({len(refused):,}): p50 and p99 from when due",
            f"{quantile(refused, 0.5) * 1e3:.0f} and {quantile(refused, 0.99) * 1e3:.0f} ms",
            "100 ms at most",
        )
        tell("neither answered nor refused, by status", f"{odd}", "{}")
        tell("memory of the replica, most over before", f"{most - before:+.0f} MB ({most:.0f} MB)", "bounded")
        tell("ready afterwards", f"{after}", "200")


def kills(root: Path, scale: Scale) -> None:
    """One of two replicas is killed again and again."""
    jpeg = picture(512, 384)
    with served(root, min_replicas=2, max_replicas=2) as service:
        peak = peak_of(service, jpeg, scale.seconds)
        # A quarter: one replica and the start of another share the CPUs meanwhile.
        seconds = scale.minutes * 60
        load = Load(service.url, jpeg, CLIENTS, seconds, rate=peak / 4, retries=1, keep_bodies=True, timeout=30)
        running, killed, skipped = start(load), 0, 0
        while not _wait(running, scale.every):
            replicas = service.replicas()
            if len(replicas) < 2:  # the last one's successor is not there yet
                skipped += 1
                continue
            replicas[0].kill()
            killed += 1
        found = running.result()
        share = failed(found) / max(1, len(found.answers))
        tell("replicas killed (left out: only one there)", f"{killed} ({skipped})", f"each {scale.every:g} s")
        tell(
            "requests that failed with one retry",
            f"{share:.3%} of {len(found.answers):,}, {found.statuses}",
            "1 % at most",
        )
        tell("answers that are wrong", f"{len(misfits(found.good))}", "0")


def _wait(running: "Future[Measured]", seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not running.done():
        time.sleep(0.1)
    return running.done()


def stop(root: Path, _scale: Scale) -> None:
    """SIGTERM with 16 requests in work, each some large pictures."""
    large = picture(2000, 1500)
    files = [("img", ("picture.jpg", large)) for _ in range(min(32, 9_000_000 // len(large)))]
    with served(root) as service, ThreadPoolExecutor(CLIENTS) as pool, httpx.Client(timeout=60) as client:
        peak_of(service, picture(512, 384), 1.0)

        def ask(_number: int) -> tuple[str, float]:
            try:
                answer = client.post(f"{service.url}/classify", files=files)
            except httpx.HTTPError as error:
                return type(error).__name__, time.monotonic()
            return str(answer.status_code), time.monotonic()

        asked = [pool.submit(ask, number) for number in range(CLIENTS)]
        while (busy := _working(service)) < CLIENTS and not all(each.done() for each in asked):
            time.sleep(0.01)
        told = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        ended = [each.result() for each in asked]
        service.process.wait(60)
        later = sum(at > told for _, at in ended)
        tell("requests in work at SIGTERM, ended after it", f"{busy} seen, {later}", f"{CLIENTS}")
        tell("answered 200", f"{sum(status == '200' for status, _ in ended)}", f"{CLIENTS}")


def _working(service: Service) -> int:
    """Requests in work as the service counts them, without the one that asks."""
    page = httpx.get(f"{service.url}/metrics", timeout=30).text
    found = [line.split()[-1] for line in page.splitlines() if line.startswith("imgcls_requests_in_work")]
    return int(float(found[0])) - 1 if found else 0


def memory(root: Path, scale: Scale) -> None:
    """Many requests, and what the replica keeps of them."""
    jpeg = picture(512, 384)
    with served(root) as service:
        peak_of(service, jpeg, scale.seconds)
        done, points = 0, []
        began = time.monotonic()
        while done < scale.requests:
            done += len(measure(Load(service.url, jpeg, CLIENTS, scale.seconds, warm=0)).good)
            points.append((time.monotonic() - began, service.memory()))
        # The first third is warm-up: pools and caches fill.
        rest = points[len(points) // 3 :]
        slope = float(np.polyfit(*np.array(rest).T, 1)[0]) * 60 if len(rest) > 2 else math.nan
        tell(
            f"memory slope over {done:,} requests",
            f"{slope:+.2f} MB a minute ({points[0][1]:.1f} to {points[-1][1]:.1f} MB)",
            "below 1",
        )


def upload(root: Path, _scale: Scale) -> None:
    """100 MB, declared and undeclared."""
    with served(root) as service:
        peak_of(service, picture(512, 384), 1.0)
        for how in ("Content-Length: 100000000", "Transfer-Encoding: chunked"):
            tries = [_upload(service.url, how) for _ in range(5)]
            times = sorted(seconds for _, seconds in tries)
            tell(
                f"100 MB, {how.split(':')[0]}",
                f"{sorted({status for status, _ in tries})} in {times[2] * 1e3:.0f} ms (slowest {times[-1] * 1e3:.0f})",
                "413 in 100 ms",
            )


def _upload(url: str, how: str) -> tuple[str, float]:
    """The status and the seconds from the head's last byte to it; the body is sent meanwhile."""
    parts = urlsplit(url)
    block = b"0" * 65_536
    if "chunked" in how:
        block = b"10000\r\n" + block + b"\r\n"
    with socket.create_connection((parts.hostname, parts.port), 30) as connection:
        began = time.perf_counter()
        connection.sendall(
            f"POST /classify HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: image/jpeg\r\n{how}\r\n\r\n".encode()
        )

        def send() -> None:
            try:
                for _ in range(100_000_000 // 65_536):
                    connection.sendall(block)
            except OSError:
                return  # refused meanwhile, which is what is asked

        sender = threading.Thread(target=send)
        sender.start()
        try:
            answer = connection.recv(4096)
        except OSError as error:
            answer = f"- {type(error).__name__}".encode()
        seconds = time.perf_counter() - began
        with suppress(OSError):  # the service has closed it already
            connection.shutdown(socket.SHUT_RDWR)
        sender.join()
    return [*answer.split(b" "), b"cut"][1][:3].decode(errors="replace"), seconds


def peak_of(service: Service, jpeg: bytes, seconds: float) -> float:
    """Requests a second in a closed loop; it warms up too."""
    found = measure(Load(service.url, jpeg, CLIENTS, seconds))
    if not found.good:
        raise RuntimeError(f"The service answered no request; by status: {found.statuses}.")
    return found.rate


def failed(found: Measured) -> int:
    """Requests without the answer 200."""
    return len(found.answers) - len(found.good)


def misfits(answers: Sequence[Answer]) -> list[Answer]:
    """Those whose labels are not of the version they name, or whose probabilities differ from its first answer."""
    first: dict[str, dict[str, float]] = {}
    found = []
    for each in answers:
        body = json.loads(each.body)
        version = str(body["model"]["version"])
        got = {row["label"]: row["probability"] for row in body["predictions"]}
        known = first.setdefault(version, got)
        agrees = got.keys() == known.keys() and all(abs(got[label] - known[label]) < 1e-4 for label in got)
        if not agrees or not all(label.startswith(f"v{version} ") for label in got):
            found.append(each)
    return found


if __name__ == "__main__":
    main()
