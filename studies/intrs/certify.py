#!/usr/bin/env python3
"""Certify what the IntRS study needs: CIFAR-10, ResNet-20, four scales of noise, four methods.

usage: python -m studies.intrs.certify [--kind KIND ...] [--sigma SIGMA ...] [--method METHOD ...] [--threads N]

Kinds: `differences` (2000 images, n = 1000), `tables` (200 images, n = 10 000), `mismatch` (networks of sigma 0.12 and 0.25
at other noise), `long` (200 images, n = 100 000, integer networks). What is in the ledgers already is not computed again;
interrupted, it continues. The float network runs in bfloat16, compiled; `--dtype float32` runs it as it was stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from studies.certifying import BY_SLUG, certify
from studies.intrs.plan import HERE, KINDS, SIGMAS, jobs

from holdfast import data
from holdfast.ledger import Ledger
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import load_network


def main() -> None:
    """One run after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m studies.intrs.certify",
    )
    names = [kind.name for kind in KINDS]
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir", type=Path, default=HERE.parents[1] / "build" / "studies" / "intrs", help="where ledgers are kept"
    )
    parser.add_argument("--kind", nargs="+", default=names, choices=names, help="these parts only")
    parser.add_argument("--sigma", nargs="+", default=SIGMAS, choices=SIGMAS, help="networks of this noise only")
    parser.add_argument("--method", nargs="+", default=list(BY_SLUG), choices=list(BY_SLUG), help="these methods only")
    parser.add_argument("--dtype", default="bfloat16", help="arithmetic of the float network")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    test = data.load("cifar10", "test", arguments.data_dir)
    for job in jobs():
        wanted = (job.kind.name in arguments.kind, job.trained in arguments.sigma, job.method.slug in arguments.method)
        if not all(wanted):
            continue
        if not job.model.exists():
            print(f"{job.title}: {job.model.name} is not trained yet", flush=True)
            continue
        how = {} if job.method.integer else {"dtype": arguments.dtype, "compiled": True}
        with Ledger(arguments.work_dir / job.ledger, create=True) as ledger:
            certify(
                ledger,
                job.method,
                load_network(str(job.model)),
                test,
                sigma=job.sigma,
                n=job.kind.n,
                inputs=job.kind.inputs,
                title=job.title,
                threads=arguments.threads,
                **how,
            )


if __name__ == "__main__":
    main()
