"""Files to verified shards: ours, Ray's own `read_images`, a sequential OpenCV loop, and the limit.

    python benchmarks/preprocess.py [--data DIR] [--files 20000] [--quick]

The limit is as many plain processes as Ray has CPUs that only read, decode by simplejpeg and resize as we do, and throw
the result away. All make the same pictures of 224 x 224 from JPEG files of 512 x 384; ours also checks, hashes, looks
for duplicates, splits, writes and verifies. Ray is up before the clock starts. The files are made of the pictures in
`--data` (parts of them, mirrored, so that no two are alike), or of noise as smooth as photographs are. Prints seconds
and ratios; the ratios are what to compare. At the end: photographs of 12 megapixels against Pillow, and memory.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil
import simplejpeg

SIZE = 224
CLASSES = 5
SEEDS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few files: to see that it runs")
    parser.add_argument("--data", type=Path, help="folder with pictures to make the files of")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--cpus", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    files = 300 if options.quick else options.files
    place = Path(tempfile.mkdtemp(prefix="imgcls-benchmark-"))
    try:
        size = write_files(place / "data", files, options.data)
        print(f"{files} JPEG files of 512x384, {size / files / 1e3:.1f} kB each, {options.cpus} CPUs")
        compare(place, files, options.cpus)
        large(place, 4 if options.quick else 40)
    finally:
        shutil.rmtree(place)


def compare(place: Path, files: int, cpus: int) -> None:
    """All contenders in turn, on the same files in the page cache."""
    import ray

    paths = sorted(map(str, (place / "data").rglob("*.jpg")))
    limit(paths, cpus)  # reads everything once, so that no contender has a cold cache
    floor = min(limit(paths, cpus) for _ in range(2))
    loop = sequential(paths, place / "loop.h5")
    ray.init(address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        few = memory(lambda: ours(place / "data", place / "few", files // 10, files))[1]
        seconds, many = memory(lambda: ours(place / "data", place / "ours", files, files))
        rival = read_images(place / "data", place / "rival")
    finally:
        ray.shutdown()
    rate = sum(Path(path).stat().st_size for path in paths) / 1e6 / floor / cpus
    print(f"ours, to verified shards   {seconds:8.2f} s   {floor / seconds:6.2f} of the limit")
    print(f"ray.data.read_images       {rival:8.2f} s   {rival / seconds:6.2f} times ours")
    print(f"sequential OpenCV loop     {loop:8.2f} s   {loop / seconds:6.2f} times ours")
    print(f"limit, decode and resize   {floor:8.2f} s   {floor / seconds:6.2f} times ours; {rate:.0f} MB/s a core")
    print(f"peak memory                {many / 1e6:8.0f} MB  {many / few:6.2f} times that with a tenth of the files")


def write_files(root: Path, files: int, data: Path | None) -> int:
    """Distinct pictures in folders of classes; returns their bytes."""
    seeds = [_photograph(path) for path in _some(data)] if data else [_smooth(number) for number in range(SEEDS)]
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)

    def write(number: int) -> int:
        rng = np.random.default_rng(number)
        seed = seeds[number % len(seeds)]
        height, width = (int(side * rng.uniform(0.4, 0.9)) for side in seed.shape[:2])
        top, left = rng.integers(0, seed.shape[0] - height), rng.integers(0, seed.shape[1] - width)
        part = seed[top : top + height, left : left + width][:, :: rng.choice([1, -1])]
        picture = cv2.resize(part, (512, 384), interpolation=cv2.INTER_AREA)
        noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(noisy), quality=90, colorsubsampling="420")
        return Path(root, f"class{number % CLASSES}", f"{number:07d}.jpg").write_bytes(encoded)

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(write, range(files)))


def _some(data: Path) -> list[Path]:
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return found[:: max(1, len(found) // 500)]


def _photograph(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    return cv2.resize(image, (1024, 768), interpolation=cv2.INTER_CUBIC)[:, :, ::-1]


def _smooth(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    layers = [
        cv2.resize(rng.normal(0, 1, (rows, rows * 4 // 3, 3)), (1024, 768), interpolation=cv2.INTER_CUBIC) * 300 / rows
        for rows in (6, 24, 96, 384)
    ]
    return np.clip(sum(layers) + 128, 0, 255).astype(np.uint8)  # type: ignore[arg-type]


def limit(paths: list[str], cpus: int) -> float:
    """Seconds of plain processes, from the moment all are ready."""
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit locks of OpenCV's threads
    ready, go = spawn.Barrier(cpus + 1), spawn.Barrier(cpus + 1)
    workers = [
        spawn.Process(target=_bare, args=(paths[number::cpus], ready, go), daemon=True) for number in range(cpus)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    go.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def _bare(paths: list[str], ready: threading.Barrier, go: threading.Barrier) -> None:
    from imgcls_ray.data.pixels import PixelOps, fitted

    cv2.setNumThreads(1)
    ops = PixelOps(SIZE, SIZE, "color")
    ready.wait()
    go.wait()
    for path in paths:
        fitted(simplejpeg.decode_jpeg(Path(path).read_bytes()), ops)


def sequential(paths: list[str], out: Path) -> float:
    """Seconds of the loop that most people write: one process, OpenCV, one HDF5 file."""
    import h5py

    cv2.setNumThreads(0)
    started = time.perf_counter()
    with h5py.File(out, "w") as file:
        images = file.create_dataset("images", (len(paths), SIZE, SIZE, 3), np.uint8)
        for number, path in enumerate(paths):
            image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
            images[number] = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    out.unlink()
    return time.perf_counter() - started


def ours(data: Path, out: Path, files: int, of: int) -> float:
    """Seconds of `preprocess`, as it counts them itself."""
    from dataclasses import replace

    from imgcls_ray.config import PreprocessSettings
    from imgcls_ray.data.preprocess import preprocess
    from imgcls_ray.data.sources import list_source

    source = list_source(str(data))
    done = preprocess(replace(source, items=source.items[:: of // files]), out, PreprocessSettings(image_size=SIZE))
    shutil.rmtree(out)
    return done.seconds


def read_images(data: Path, out: Path) -> float:
    """Seconds of Ray Data's own reader with a map that writes HDF5."""
    import h5py
    import ray.data

    from imgcls_ray.data.tasks import quiet

    out.mkdir()

    def write(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        import uuid

        with h5py.File(out / f"{uuid.uuid4()}.h5", "w") as file:
            file.create_dataset("images", data=np.stack(list(batch["image"])))
            file.create_dataset("keys", data=[str(path) for path in batch["path"]])
        return {"rows": np.array([len(batch["path"])])}

    started = time.perf_counter()
    with quiet():
        images = ray.data.read_images(str(data), size=(SIZE, SIZE), mode="RGB", include_paths=True)
        images.context.enable_progress_bars = False
        images.map_batches(write, batch_size=512).materialize()
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return seconds


def memory(work: Callable[[], float]) -> tuple[float, int]:
    """What `work` returns, and the highest sum of the memory that this process and its children had for themselves."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.2):
            total = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    usage = process.memory_info()
                except psutil.NoSuchProcess:
                    continue
                total += usage.rss - usage.shared
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), peak
    finally:
        over.set()
        watcher.join()


def large(place: Path, number: int) -> None:
    """Photographs of 12 megapixels, in this process: our `decode` against Pillow's full decode."""
    from PIL import Image

    from imgcls_ray.data.pixels import PixelOps, decode

    cv2.setNumThreads(1)
    paths = []
    for seed in range(number):
        path = place / f"{seed}.jpg"
        photograph = cv2.resize(_smooth(seed), (4000, 3000), interpolation=cv2.INTER_CUBIC)
        path.write_bytes(simplejpeg.encode_jpeg(photograph, quality=90, colorsubsampling="420"))
        paths.append(path)
    size = sum(path.stat().st_size for path in paths) / number / 1e6
    ops = PixelOps(SIZE, SIZE, "color")
    started = time.perf_counter()
    for path in paths:
        decode(path.read_bytes(), ops)
    mine = time.perf_counter() - started
    started = time.perf_counter()
    for path in paths:
        with Image.open(path) as image:
            image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    theirs = time.perf_counter() - started
    print(f"12 megapixels, {size:.2f} MB: ours {mine / number * 1e3:.1f} ms, Pillow {theirs / mine:.1f} times ours")


if __name__ == "__main__":
    main()
