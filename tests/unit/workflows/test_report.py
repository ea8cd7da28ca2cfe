"""What is gathered for a report: the ledger's own results and times, pictures only of the run's own data, sizes of its own
network; and where it is written to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast import data as datasets
from holdfast.data import DataSet
from holdfast.digest import array_digest
from holdfast.errors import LedgerError, ParameterError
from holdfast.intnet import Flatten, Input, IntegerNetwork, Linear, Requantise
from holdfast.ledger import Ledger, canonical_export
from holdfast.records import ImportedResult, ImportedRun, Purpose, Run
from holdfast.report import Cost, check_outputs, write_report
from holdfast.workflows.report import DataFinder, ReportRequest, gather, network_costs, report_on

Whole = tuple[Run, Path, bytes]
PUBLISHED = ImportedRun(
    name="theirs", source="t.tsv", source_digest="e" * 64, data="squares", sigma="", results=(ImportedResult(0, 1, 1, "1"),)
)  # fmt: skip


def saved(path: Path, data: DataSet) -> Path:
    np.savez(path, images=data.images, labels=data.labels, classes=np.array(data.classes))
    return path


def test_results_and_times_are_the_ledgers(whole: Whole) -> None:
    run, path, exported = whole
    (made,), imported = gather(ReportRequest((path,)), DataFinder())
    with Ledger(path) as ledger:
        assert made.results == tuple((e.label, e.certificate) for e in ledger.entries(run))
        times = ledger.executions(run)
    assert [(t.index, t.samples, t.seconds, t.host, t.engine) for t in made.timings] == [
        (e.index, e.samples, e.seconds, e.host, e.engine) for e in times
    ]
    assert len(made.timings) == len(made.results) == 12
    assert (made.source, made.export_digest) == (path.name, hashlib.sha256(exported).hexdigest())
    assert imported == []
    assert "No pictures of squares test" in made.images_note
    assert (made.images, made.examples, made.classes, made.cost) == ({}, (), (), None)


def test_pictures_are_those_of_the_run(whole: Whole, squares: Any, tmp_path: Path) -> None:
    run, path, _ = whole
    finder = DataFinder(str(saved(tmp_path / "any-name.npz", squares.data)))
    (made,), _ = gather(ReportRequest((path,)), finder)
    assert (made.images_note, made.classes) == ("", squares.data.classes)
    assert list(made.images) == list(range(12))
    for _, c in made.results:
        assert array_digest(made.images[c.index]).hex() == c.digest
    (example,) = made.examples
    with Ledger(path) as ledger:
        assert list(example.labels) == ledger.labels(run, 0)[1][:4].tolist()
    address = run.address(array_digest(squares.data.images[0]), Purpose.ESTIMATE)
    noise = squares.classifier().noise.sample(address, 0, 4, 4).reshape(4, 1, 2, 2)
    assert np.array_equal(example.copies, np.clip(squares.data.images[0].astype(int) + noise, 0, 255))

    (without,), _ = gather(ReportRequest((path,), pictures=False), finder)
    assert (without.images, without.examples, without.images_note) == ({}, (), "")
    assert without.classes == squares.data.classes


def test_other_data_under_the_same_name_is_not_shown(whole: Whole, squares: Any, tmp_path: Path) -> None:
    other = replace(squares.data, labels=squares.data.labels[::-1].copy())
    (made,), _ = gather(ReportRequest((whole[1],)), DataFinder(str(saved(tmp_path / "a.npz", other))))
    assert "another digest" in made.images_note
    assert (made.images, made.examples, made.classes) == ({}, (), ())


def test_an_input_that_is_not_the_datas_has_no_picture(
    copied: Path, change: Callable[..., None], squares: Any, tmp_path: Path
) -> None:
    change("UPDATE inputs SET digest=? WHERE idx=3", "0" * 64)
    (made,), _ = gather(ReportRequest((copied,)), DataFinder(str(saved(tmp_path / "a.npz", squares.data))))
    assert sorted(made.images) == [i for i in range(12) if i != 3]
    assert made.images_note == "1 inputs are not those of squares test."


def test_a_ledgers_name_for_its_data_is_never_taken_for_a_path(
    whole: Whole, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.npz", squares.data)
    monkeypatch.chdir(tmp_path)
    for name in (f"{path} test", "a.npz test", "./a.npz test", "~ test", " test", "test", ""):
        assert datasets.load(str(path)).digest == whole[0].data_digest, "it could be read"
        data, note = DataFinder().find(replace(whole[0], data=name))
        assert data is None
        assert "No pictures" in note
    assert DataFinder().find(replace(whole[0], data="digits nowhere"))[0] is None


def test_a_known_name_is_found_by_itself_and_read_once(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = datasets.load("digits", "test")
    run, calls, load = replace(whole[0], data="digits test", data_digest=digits.digest), [], datasets.load
    monkeypatch.setattr(datasets, "load", lambda *a: calls.append(a) or load(*a))
    finder = DataFinder()
    assert [finder.find(run) for _ in range(2)] == [(finder.find(run)[0], "")] * 2
    assert finder.find(run)[0].digest == digits.digest  # type: ignore[union-attr]
    assert len(calls) == 1


def test_noise_that_this_version_does_not_draw_is_not_shown(whole: Whole, squares: Any, tmp_path: Path) -> None:
    finder = DataFinder(str(saved(tmp_path / "a.npz", squares.data)))
    for changes in ({"noise_digest": "0" * 64}, {"noise": "uniform"}, {"sigma": "99"}):
        with Ledger(tmp_path / f"{next(iter(changes))}.ledger", create=True) as ledger:
            run = replace(whole[0], **changes)
            ledger.add_run(run)
            with Ledger(whole[1]) as source:
                for entry in source.entries(whole[0]):
                    selection, estimation = source.labels(whole[0], entry.index)
                    ledger.record(run, entry.label, replace(entry.certificate, run=run.id), selection, estimation)
            made = report_on(ledger, run, finder)
        assert len(made.images) == 12
        assert made.examples == ()


@pytest.mark.parametrize("value", [-1.0, 1e999])
def test_damaged_times_are_named(value: object, copied: Path, change: Callable[..., None]) -> None:
    change("UPDATE execution SET seconds=? WHERE idx=5", value)
    with pytest.raises(
        LedgerError, match=r"copy\.ledger: a record of when something was computed is damaged \(input 5"
    ):
        gather(ReportRequest((copied,)), DataFinder())


def test_runs_are_chosen_by_the_beginning_of_their_id(squares: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.ledger"
    one = squares.certify(path, [0, 1])
    with Ledger(path, create=True) as ledger:
        two = squares.open(ledger, nonce="11" * 32)
    made, _ = gather(ReportRequest((path,)), DataFinder())
    assert [report.run for report in made] == [one, two]
    chosen, _ = gather(ReportRequest((path,), runs=(two.id[:6],)), DataFinder())
    assert [report.run for report in chosen] == [two]
    with pytest.raises(ParameterError, match=r"no run 'zz' in .*two\.ledger"):
        gather(ReportRequest((path,), runs=(one.id, "zz")), DataFinder())


def test_published_results_come_along_and_an_empty_ledger_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.ledger"
    with Ledger(path, create=True):
        pass
    with pytest.raises(ParameterError, match=r"nothing to report in .*a\.ledger"):
        gather(ReportRequest((path,)), DataFinder())
    with Ledger(path) as ledger:
        ledger.add_imported(PUBLISHED)
    runs, (imported,) = gather(ReportRequest((path,)), DataFinder())
    assert runs == []
    assert (imported.imported, imported.source) == (PUBLISHED, "a.ledger")


def test_a_size_is_given_only_to_runs_about_that_network(digits_model: Path, whole: Whole) -> None:
    from holdfast.certify import new_run
    from holdfast.workflows.classifiers import as_classifier, load_network

    network = load_network(str(digits_model))
    settings: dict[str, Any] = {"data": "digits test", "data_digest": "d" * 64, "n0": 5, "n": 50, "alpha": "0.1"}
    runs = [new_run(as_classifier(network, dtype=dtype), **settings) for dtype in ("float32", "bfloat16")]
    costs = network_costs([digits_model], [whole[0], *runs])
    assert set(costs) == {run.id for run in runs}
    cost = costs[runs[0].id]
    assert cost.file_bytes == digits_model.stat().st_size
    assert cost.parameters == runs[0].classifier["parameters"]
    assert cost.macs == 8 * 8 * 16 * 9 + 4 * 4 * 64 * 16 * 9 + 10 * network.module.fc.in_features
    assert network_costs(
        [digits_model], [replace(runs[0], classifier=runs[0].classifier | {"dtype": "int7"}), runs[1]]
    ) == {runs[1].id: cost}
    with pytest.raises(ParameterError, match=r"no run here is about .*digits\.safetensors"):
        network_costs([digits_model], [whole[0]])


def test_an_integer_networks_size_is_that_of_its_own_run(whole: Whole, tmp_path: Path) -> None:
    half = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
    weight = np.array([[1, 0], [0, 1], [1, 1]], np.int8)
    operations = [
        Input("input", (1, 1, 2), np.array([128], np.int32), half),
        Flatten("flatten", 0),
        Linear("fc", 1, weight, np.zeros(3, np.int32), None),
    ]
    network, path = IntegerNetwork(operations), tmp_path / "small.hfi"
    network.save(path)
    run = replace(whole[0], classifier={"evaluation": "integer", "network": network.digest})
    assert network_costs([path], [whole[0], run]) == {run.id: Cost(path.stat().st_size, 6, 6, 6)}


@pytest.mark.parametrize("name", ["report.pdf", "a.ledger", "report.htm", "x.HTML"])
def test_an_unknown_kind_of_file_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"--out .*: give a file that ends in \.html"):
        check_outputs([tmp_path / "fine.html", tmp_path / name], [])


def test_a_ledger_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="is a ledger that is to be read"):
        check_outputs([Path("odd.html")], [tmp_path / "odd.html"])
    check_outputs([Path("folder"), tmp_path, Path("a.svg")], [tmp_path / "odd.html"])


def test_what_is_written_is_the_same_each_time(whole: Whole, tmp_path: Path) -> None:
    runs, imported = gather(ReportRequest((whole[1],)), DataFinder())
    first = write_report(tmp_path / "one", "title", runs, imported)
    second = write_report(tmp_path / "two", "title", runs, imported)
    run = whole[0].id
    assert [path.name for path in first] == [
        "report.html", "report.md", "inputs.md", "radii.csv", "overview.csv", "inputs.csv", "histogram.csv", "time.csv",
        "facts.csv", "curve.svg", "curve.png", f"histogram-{run}.svg", f"histogram-{run}.png",
    ]  # fmt: skip
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for name, same in (
        ("r.html", "report.html"),
        ("c.svg", "curve.svg"),
        ("c.png", "curve.png"),
        ("t.csv", "radii.csv"),
    ):
        (path,) = write_report(tmp_path / name, "title", runs, imported)
        assert path.read_bytes() == (tmp_path / "one" / same).read_bytes()
    (markdown,) = write_report(tmp_path / "r.md", "title", runs, imported)
    assert markdown.read_text().startswith("# title\n")
    assert "![" not in markdown.read_text(), "a picture that was not drawn"


def test_reading_changes_nothing(copied: Path) -> None:
    with Ledger(copied) as ledger:
        before = canonical_export(ledger)
    gather(ReportRequest((copied,)), DataFinder())
    with Ledger(copied) as ledger:
        assert canonical_export(ledger) == before
