"""``holdfast demo``: train, certify and report on the embedded digits; everything resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from holdfast import data as datasets
from holdfast.errors import MissingDependency, ParameterError
from holdfast.ledger import Ledger
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Preprocessing
from holdfast.report import RunReport, html_report, markdown_report, write_curves
from holdfast.rounding import cut_text, share_text
from holdfast.training import named, train
from holdfast.workflows.certify import Progress, certify_inputs, choose_indices, open_run
from holdfast.workflows.classifiers import as_classifier, load_network
from holdfast.workflows.report import DataFinder, network_costs, report_on
from holdfast.workflows.summary import summarise

__all__ = ["DemoResult", "run_demo"]

SIGMA, ALPHA, N0, N, INPUTS, EPOCHS, SEED = "0.15", "0.001", 100, 10_000, 100, 25, 0
Report = Callable[[float, float, str, float | None], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where everything is, and the headline numbers."""

    folder: Path
    files: tuple[tuple[str, str], ...]
    summary: dict[str, Any]

    def lines(self) -> list[str]:
        """What the user reads at the end."""
        s = self.summary
        model, ledger = (quote(str(self.folder / name)) for name in ("digits.safetensors", "digits.ledger"))
        accuracy = ", ".join(
            f"{share_text(share, s['inputs'])} at {radius}" for radius, share in s["certified_accuracy"].items()
        )
        return [
            f"Certified {s['inputs']} held-out digits with n = {s['n']} noisy copies each; {s['abstained']} abstained.",
            f"Certified accuracy by radius (1.0 is the way from black to white of one pixel): {accuracy}",
            f"Average certified radius: {cut_text(s['average_certified_radius'])}",
            "",
            *(f"{name:9} {self.folder / file}" for name, file in self.files),
            "",
            "Try next:",
            f"  holdfast verify {ledger} --replay 2000 --model {model} --data digits",
            f"  holdfast predict {model} digits:0 digits:1",
            f"  holdfast certify {model} --data digits --limit 10 --n 100000 --ledger {ledger}",
            f"  holdfast report {ledger} --out {quote(str(self.folder / 'everything'))}",
            f"  holdfast ledger show {ledger}",
        ]


def run_demo(out: Path, *, say: Callable[[str], None], report: Report) -> DemoResult:
    """Everything, in a folder.

    Args:
        out: folder; created. What is there already is used. Runs on one thread: for so small a network that is
            nearly as fast, and it stays fast beside other programs.
        say: called with a sentence before each step.
        report: called with (done, total, text, seconds left).
    """
    if out.exists() and not out.is_dir():
        raise ParameterError(f"{out} is a file; --out takes a folder")
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = out / "digits.safetensors"
    if not model.exists():
        say(f"training a small network on 8x8 digits under noise of sigma {SIGMA} ...")
        _train(model, out / "training.state", report)
    classifier = as_classifier(load_network(str(model)))
    data = datasets.load("digits", "test")
    with Ledger(out / "digits.ledger", create=True) as ledger:
        run = open_run(ledger, classifier, data, n0=N0, n=N, alpha=ALPHA)
        say(f"certifying {INPUTS} held-out digits, {N} noisy copies each ...")
        chosen = choose_indices(len(data), INPUTS, None)
        certify_inputs(ledger, run, classifier, data, chosen, on_progress=lambda p: _tell(p, report))
        summary = summarise(ledger, run)
        content = replace(report_on(ledger, run, DataFinder()), cost=network_costs([model], [run])[run.id])
    return DemoResult(out, _write_report(out, content, say), summary)


def _train(path: Path, state_path: Path, report: Report) -> None:
    data = datasets.load("digits", "train")
    spec = ModelSpec("cnn-small", data.num_classes, data.shape, Preprocessing((0.3,), (0.4,)))
    module = build(spec, seed=SEED)
    recipe = named("quick", epochs=EPOCHS, batch=64, flip=False, crop=0)
    result = train(
        module,
        data.images,
        data.labels,
        preprocessing=spec.preprocessing,
        sigma=SIGMA,
        recipe=recipe,
        seed=SEED,
        precision="float32",
        compiled=False,
        state_path=state_path,
        on_epoch=lambda r: report(
            r.epoch, EPOCHS, f"epoch {r.epoch}, loss {r.train_loss:.3f}", (EPOCHS - r.epoch) * r.seconds
        ),
    )
    metadata = {
        "data": f"{data.name} {data.split}",
        "data_digest": data.digest,
        "classes": list(data.classes),
        "recipe": recipe.name,
        "epochs": EPOCHS,
        "sigma": SIGMA,
        "seed": SEED,
        "train_accuracy_under_noise": result.history[-1].train_accuracy,
    }
    checkpoint.save(path, module, spec, metadata)
    state_path.unlink(missing_ok=True)


def _tell(p: Progress, report: Report) -> None:
    report(
        p.samples_done, max(p.samples_done + p.samples_left, 1), f"{p.inputs_done}/{p.inputs} inputs", p.seconds_left
    )


def _write_report(out: Path, content: RunReport, say: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    title, files = "holdfast demo: certified digits", [("network", "digits.safetensors"), ("ledger", "digits.ledger")]
    figure: str | None = "curve.png"
    try:
        write_curves(out / "curve.png", [content])
    except MissingDependency as error:
        say(f"no picture: {error}")
        figure = None
    (out / "report.md").write_text(markdown_report(title, [content], figure), encoding="utf-8")
    (out / "report.html").write_text(html_report(title, [content]), encoding="utf-8")
    files += [("report", "report.html"), ("report", "report.md")]
    return tuple(files + ([("picture", figure)] if figure else []))
