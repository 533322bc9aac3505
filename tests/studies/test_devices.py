"""CUDA devices, by what torch says of them: none needs to be here."""

import os

import pytest
import torch

import studies
from studies.errors import UserError
from studies.train import devices


@pytest.fixture
def two(monkeypatch, tmp_path):
    """Two devices as far as torch tells, no lock of which is taken; a list of those that were made the current one."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_held", [])
    devices.take.cache_clear()
    yield chosen
    devices.take.cache_clear()
    for file in devices._held:
        file.close()


def test_a_process_keeps_the_first_free_device_and_makes_it_the_current_one(two):
    assert [devices.take("cuda"), devices.take("cuda")] == [torch.device("cuda", 0)] * 2
    assert two == [0]  # a graph is recorded on a stream of the current device


@pytest.mark.usefixtures("two")
def test_each_process_takes_another_device_while_there_is_one():
    assert [devices._claim(2) for _ in range(3)] == [0, 1, os.getpid() % 2]
    devices._held.pop().close()
    assert devices._claim(2) == 1


def test_the_cpu_is_nobodys_to_claim(two):
    assert devices.take("cpu") == torch.device("cpu")
    assert two == []


@pytest.mark.usefixtures("two")
def test_models_of_torch_nn_are_not_sent_to_a_cuda_device(tmp_path):
    spec = tmp_path / "both.toml"
    spec.write_text(
        'title = "t"\n[data]\nname = "xor"\n[validation]\nfolds = 0\n[base]\nbatch_size = "full"\n'
        '[[grid]]\nengine = ["stack", "torch_nn"]\n'
    )
    with pytest.raises(
        UserError,
        match=r"^both.toml: base with engine = torch_nn: engine torch_nn trains on the CPU: --device cuda was given",
    ):
        studies.run(spec, device="cuda", results=tmp_path / "results")
    assert not (tmp_path / "results").exists()
