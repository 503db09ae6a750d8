"""Requests a second and their times: our service, the servers that others' guides lead to, and the limit.

    python benchmarks/serve.py [--weights FILE] [--data DIR] [--rivals-python PYTHON] [--quick]

MobileNetV2 at 224 pixels, five classes, one Keras model for all; a JPEG of 512x384, sent as `curl -F` does. Each server
is started on its own, one after another, and shares the CPUs with the load generator. The limit is decoding with our
decoder and OpenVINO, one picture after another on one CPU, times the CPUs; uvicorn with nothing but these two
(`_rivals/bare.py`) shows what HTTP leaves of it. Absolute figures are the machine's; the ratios are what to compare.
Beside each stands the CPU that a request took, which other work on the machine disturbs least. A rival that is not
installed is skipped; LitServe and BentoML belong in an environment of their own (BentoML
asks for older versions than the project's), whose interpreter is given as --rivals-python.
"""

import argparse
import io
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _load import Load, Measured, measure
from _servers import BARE, BENTO, FUNCTION, LIT, PREDICT, Server, installed, ours, rival
from PIL import Image

BACKBONE, SIDE, CLASSES, CLIENTS = "mobilenet_v2_1.0", 224, 5, 16


@dataclass(frozen=True)
class Limit:
    """What one picture takes at least."""

    decode: float
    """Seconds."""
    predict: float
    """Seconds."""
    cpu: float
    """Seconds of CPU for both."""

    @property
    def seconds(self) -> float:
        """Both."""
        return self.decode + self.predict


@dataclass(frozen=True)
class Figures:
    """What was measured of one server."""

    many: Measured
    """With all clients."""
    cpu: float
    """Seconds of CPU for one request, of all processes of the server."""
    one: Measured
    """With one client."""
    large: Measured | None
    """A photograph of 12 megapixels, with one client."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="half a second each, and one rival: to see that it runs")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--weights", default="none", help="a file of MobileNetV2's; without it they are random")
    parser.add_argument("--data", type=Path, help="a folder with a JPEG in it; without it the picture is made up")
    parser.add_argument("--rivals", default="predict,function,lit,bento", help="which of them, separated by commas")
    parser.add_argument("--rivals-python", default=sys.executable, help="the interpreter that has the rivals installed")
    parser.add_argument("--options", default=f"--cpus {os.cpu_count()}", help="of `imgcls serve`")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # by way of the servers' ends
    seconds = 0.5 if options.quick else options.seconds
    named = {"predict": PREDICT, "function": FUNCTION, "lit": LIT, "bento": BENTO}
    rivals = [FUNCTION] if options.quick else [named[name] for name in options.rivals.split(",") if name]
    small, large = picture(options.data, 512, 384, 90), picture(options.data, 4000, 3000, 60)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        # TensorFlow and OpenVINO in processes of their own, so that nothing of them is left beside the servers.
        apart(write, bundle, options.weights)
        limit = apart(limit_of, bundle, small, 20 if options.quick else 500)
        sizes = f"JPEG of 512x384, {len(small):,} bytes, and of 12 megapixels, {len(large):,} bytes"
        print(f"{BACKBONE} at {SIDE} px; {sizes}; {os.cpu_count()} CPUs")
        print(
            f"decode {limit.decode * 1e3:.2f} ms + predict {limit.predict * 1e3:.2f} ms, alone; "
            f"both take {limit.cpu * 1e3:.2f} ms of CPU"
        )
        line(
            f"imgcls serve {options.options}",
            us := figures(lambda: ours(bundle, shlex.split(options.options)), seconds, small, large),
        )
        bare = figures(lambda: rival(BARE, bundle / "model.keras", sys.executable), seconds, small, None)
        line(BARE.name, bare)
        beside = {}
        for each in rivals:
            if not installed(each, options.rivals_python):
                print(f"{each.name} is skipped: {each.package} is not installed in {options.rivals_python}.")
                continue
            beside[each.name] = figures(
                lambda each=each: rival(each, bundle / "model.keras", options.rivals_python), seconds, small, None
            )
            line(each.name, beside[each.name])
        summary(us, beside, bare, limit)


def summary(us: Figures, beside: dict[str, Figures], bare: Figures, limit: Limit) -> None:
    """Ours against the rivals and the limit: what was measured and what is asked."""
    rate = us.many.rate
    for name, them in beside.items():
        asked = "asked 10" if name == PREDICT.name else "asked 2, of the best"
        print(f"ours is {rate / them.many.rate:6.2f} times {name}, {them.cpu / us.cpu:.2f} times by CPU ({asked})")
    top = (os.cpu_count() or 1) / limit.seconds
    print(f"limit {top:.0f} requests/s ({top / rate:.2f} times ours): ours reaches {rate / top:.2f} of it (asked 0.6)")
    mine, least = ((each.one.p50 - limit.seconds) * 1e3 for each in (us, bare))
    print(f"p50 with one client is {mine:+.2f} ms from decode + predict (asked +1 at most)")
    print(f"  that of uvicorn with nothing but these two: {least:+.2f} ms")
    print(f"p99 with {CLIENTS} clients is {us.many.p99 / us.many.p50:.1f} times p50 (asked 5 at most)")
    if us.large:
        print(f"p50 of 12 megapixels is {us.large.p50 * 1e3:.1f} ms (asked 25 at most)")


def line(name: str, found: Figures) -> None:
    """A server's own figures."""
    failed = {status: count for status, count in found.many.statuses.items() if status != 200}
    print(
        f"{name:24} {found.many.rate:7.1f} requests/s with {CLIENTS} clients, p50 {found.many.p50 * 1e3:6.1f} ms, "
        f"p99 {found.many.p99 * 1e3:6.1f} ms; p50 with one {found.one.p50 * 1e3:6.2f} ms; CPU a request "
        f"{found.cpu * 1e3:5.2f} ms + the generator's {found.many.cpu / max(1, len(found.many.answers)) * 1e3:.2f} ms"
        + (f"; not answered, by status: {failed}" if failed else "")
    )


def figures(
    start: Callable[[], AbstractContextManager[Server]], seconds: float, small: bytes, large: bytes | None
) -> Figures:
    """Start the server, warm it up, and put the loads on it one after another."""
    with start() as server:
        warm = measure(Load(server.url, small, connections=4, seconds=seconds / 2, warm=0))
        if not warm.good:
            raise RuntimeError(f"The server at {server.url} answered no request; by status: {warm.statuses}.")
        before = server.cpu()
        many = measure(Load(server.url, small, connections=CLIENTS, seconds=seconds, warm=0))
        cpu = (server.cpu() - before) / max(1, len(many.answers))
        one = measure(Load(server.url, small, connections=1, seconds=seconds / 2, warm=0.2))
        return Figures(
            many, cpu, one, measure(Load(server.url, large, connections=1, seconds=seconds / 2)) if large else None
        )


def picture(folder: Path | None, width: int, height: int, quality: int) -> bytes:
    """A JPEG: the first of the folder brought to size, or coloured noise at several scales, as in a photograph."""
    if folder:
        found = next((path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")), None)
        if found is None:
            raise SystemExit(f"--data is a folder with a JPEG in it; {folder} has none.")
        image = Image.open(found).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    else:
        rng, total = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
        for cells, strength in ((4, 60.0), (16, 30.0), (64, 15.0), (128, 10.0), (1024, 10.0)):
            if cells > width:
                continue  # finer than the picture's pixels
            grain = rng.normal(0, strength, (cells * 3 // 4, cells, 3)).astype(np.float32)
            for channel in range(3):
                layer = Image.fromarray(grain[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
                total[..., channel] += np.asarray(layer)
        image = Image.fromarray((128 + total).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """The function's result, from a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def write(path: Path, weights: str) -> None:
    """The bundle that is served."""
    from imgcls_ray import quiet

    quiet.import_tensorflow()
    import keras

    from imgcls_ray.bundle.bundle import write_bundle
    from imgcls_ray.bundle.card import Card
    from imgcls_ray.config import Size, TrialSettings
    from imgcls_ray.data.labels import Labels
    from imgcls_ray.data.pixels import PixelOps
    from imgcls_ray.models.features import build_features
    from imgcls_ray.models.network import assemble, build_head
    from imgcls_ray.models.weights import resolve_weights

    keras.utils.set_random_seed(0)
    features = build_features(BACKBONE, Size(SIDE, SIDE), 3, resolve_weights(BACKBONE, (weights,)))
    settings = TrialSettings(backbone=BACKBONE)
    model = assemble(features, build_head(settings, features.output_shape[-1], CLASSES))
    golden = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    counts = {"found": 0, "used": 0, "rejected": 0}
    card = Card(
        name="benchmark",
        study="none",
        settings={"backbone": BACKBONE},
        metrics={},
        data_name="none",
        data_fingerprint="0" * 64,
        counts=counts,
    )
    labels = Labels(tuple(f"class {number}" for number in range(CLASSES)))
    write_bundle(path, model, labels, PixelOps(SIDE, SIDE, "color"), card, golden, portable=True)


def limit_of(bundle: Path, jpeg: bytes, count: int) -> Limit:
    """Medians of `count` pictures, one after another on one CPU."""
    import statistics
    import time

    from imgcls_ray.bundle.bundle import load_bundle

    loaded = load_bundle(bundle, engine="openvino")
    loaded.engine.warm_up()
    decode, predict, cpu = [], [], time.process_time()
    for _ in range(count):
        began = time.perf_counter()
        decoded = loaded.decoded([jpeg])
        between = time.perf_counter()
        loaded.answers_of(decoded)
        decode.append(between - began)
        predict.append(time.perf_counter() - between)
    return Limit(statistics.median(decode), statistics.median(predict), (time.process_time() - cpu) / count)


if __name__ == "__main__":
    main()
