"""A network of the user's own, in their own module: train, inspect, certify, verify, predict, without touching ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

MODULE = """
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu_(self.conv(x)), 2)
        return self.head(torch.flatten(x, 1))


def broken():
    return nn.Linear(3, 10)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the user's module and a network trained from it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mynet.py").write_text(MODULE)
    options = "--data digits --model mynet:Net --sigma 0.15 --epochs 2 --out net.safetensors --json"
    trained = holdfast(folder, "train", *options.split())
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["noisy_accuracy"] > 0.5
    return folder


def holdfast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "holdfast", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_trained_network_of_ones_own_is_certified_and_verified(folder: Path) -> None:
    own = ["--weights", "net.safetensors", "--data", "digits"]
    certified = holdfast(folder, "certify", "mynet:Net", *own, *"--limit 4 --n 1000 --ledger a.ledger --json".split())
    assert certified.returncode == 0, certified.stderr
    assert json.loads(certified.stdout)["inputs"] == 4
    verified = holdfast(folder, "verify", "a.ledger", "--replay", "300", "--fresh", "200", "--model", "mynet:Net", *own)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "holds" in verified.stdout


def test_weights_in_a_wrapped_pt_file_need_a_stated_preprocessing(folder: Path) -> None:
    script = (
        "import torch, mynet; net = mynet.Net(); "
        "torch.save({'state_dict': {'module.' + k: v for k, v in net.state_dict().items()}}, 'wrapped.pt')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=120)
    own = "mynet:Net --weights wrapped.pt --sigma 0.2 --data digits --limit 1 --n 100 --ledger b.ledger".split()
    refused = holdfast(folder, "certify", *own)
    assert refused.returncode == 2
    assert "--mean" in refused.stderr
    accepted = holdfast(folder, "certify", *own, "--mean", "0.3", "--std", "0.4")
    assert accepted.returncode == 0, accepted.stderr


def test_a_file_never_decides_which_code_is_imported(folder: Path) -> None:
    refused = holdfast(folder, "certify", "net.safetensors", "--data", "digits", "--ledger", "c.ledger")
    assert refused.returncode == 2
    assert "mynet:Net" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("mynet:broken", "cannot take images of shape (1, 8, 8)"),
        ("mynet:nothing", "nothing"),
        ("absent_module:Net", "absent_module"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(folder: Path, factory: str, said: str) -> None:
    refused = holdfast(
        folder, "certify", factory, *"--mean 0 --std 1 --sigma 0.1 --data digits --ledger d.ledger".split()
    )
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_predict_and_inspect_know_it_too(folder: Path) -> None:
    predicted = holdfast(folder, "predict", "mynet:Net", "digits:3", "--weights", "net.safetensors", "--json")
    assert predicted.returncode == 0, predicted.stderr
    assert sum(json.loads(predicted.stdout)[0]["counts"]) == 1000
    inspected = holdfast(folder, "inspect", "net.safetensors", "--json")
    found = json.loads(inspected.stdout)
    assert found["network"]["name"] == "mynet:Net"
    assert found["metadata"]["sigma"] == "0.15"


def test_training_again_is_refused_and_gives_the_same_weights_elsewhere(folder: Path) -> None:
    options = "--data digits --model mynet:Net --sigma 0.15 --epochs 2".split()
    refused = holdfast(folder, "train", *options, "--out", "net.safetensors")
    assert refused.returncode == 2
    assert "there already" in refused.stderr
    assert holdfast(folder, "train", *options, "--out", "again.safetensors").returncode == 0
    first, second = (load_file(folder / name) for name in ("net.safetensors", "again.safetensors"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_data_list_info_and_an_unknown_name(folder: Path, tmp_path: Path) -> None:
    listed = holdfast(folder, "data", "list", "--json")
    assert {"name": "digits", "available": ["train", "test"]} in json.loads(listed.stdout)
    info = holdfast(folder, "data", "info", "cifar10", "--data-dir", str(tmp_path))
    assert info.returncode == 0
    assert "data_batch_1" in info.stdout
    unknown = holdfast(folder, "data", "info", "cifar11")
    assert unknown.returncode == 2
    assert "cifar10" in unknown.stderr
