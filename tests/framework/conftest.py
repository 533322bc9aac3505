import pytest
import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pytest_generate_tests(metafunc):
    """A test that uses `device` runs on every device that is present, unless it is marked as the CPU's business."""
    if "device" in metafunc.fixturenames and len(DEVICES) > 1 and not metafunc.definition.get_closest_marker("cpu"):
        metafunc.parametrize("device", DEVICES, indirect=True)


@pytest.fixture
def device(request):
    """Default device of tensors."""
    torch.set_default_device(getattr(request, "param", None))
    yield
    torch.set_default_device(None)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
