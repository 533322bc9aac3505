import pytest
import torch

from framework.streams import derive, generator, mix, random_bits

SPLITMIX64 = {  # the published first outputs of the generator
    0: (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F),
    1234567: (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821),
}


@pytest.mark.parametrize(("seed", "outputs"), SPLITMIX64.items(), ids=SPLITMIX64)
def test_derive_is_splitmix64_without_its_last_bit(seed, outputs):
    assert [derive(seed, index) for index in range(len(outputs))] == [output >> 1 for output in outputs]


def test_derived_seeds_do_not_collide():
    seeds = [*range(500), *(2**63 - 1 - seed for seed in range(100)), *(derive(0, index) for index in range(100))]
    derived = {derive(seed, index) for seed in seeds for index in range(300)}
    assert len(derived) == len(seeds) * 300
    assert min(derived) >= 0
    assert max(derived) < 2**63


def test_derived_seeds_are_seeds_of_generators():
    for index in range(100):
        assert generator(derive(0, index)).initial_seed() == derive(0, index)


def test_a_generator_starts_at_its_seed_and_not_at_the_global_one():
    torch.manual_seed(1)
    first = torch.rand(5, generator=generator(7))
    torch.manual_seed(2)
    assert torch.equal(torch.rand(5, generator=generator(7)), first)
    assert not torch.equal(torch.rand(5, generator=generator(0)), first)


KNOWN = {  # seed, step, index: bits, as unsigned numbers of 32 bits in C give them
    (0, 0, 1): 637668344,
    (1, 1, 123456): 3077994911,
    (2**63 - 1, 0, 1): 3467259148,
    (6791897765849424158, 1, 123456): 3914389964,
}


def test_no_index_has_the_bits_0_because_of_its_seed():
    """The halves of a seed are mixed apart: where `b` was mix(a ^ high), the index that is high had no bits."""
    assert all(random_bits(seed, step, seed >> 32) for seed in (0, 7, 5 << 32, derive(0, 0)) for step in range(3))


def test_mixed_numbers_are_a_permutation():
    """Multiplications by odd numbers and shifted sums without carry are invertible: no two of these collide."""
    numbers = torch.cat([torch.arange(200_000), torch.arange(2**32 - 200_000, 2**32), torch.arange(0, 2**32, 10_007)]).unique()
    mixed = mix(numbers)
    assert len(mixed.unique()) == len(numbers)
    assert mixed.min() >= 0
    assert mixed.max() < 2**32


@pytest.mark.parametrize("key", KNOWN, ids=str)
def test_random_bits_are_known_numbers_of_python_and_of_tensors(key):
    assert random_bits(*key) == KNOWN[key]
    assert random_bits(*map(torch.tensor, key)).item() == KNOWN[key]


def test_random_bits_of_many_seeds_are_those_of_each():
    seeds, places = torch.tensor([0, 5, 2**63 - 1]), torch.arange(12).reshape(3, 4)
    together = random_bits(seeds[:, None, None], torch.tensor(2**32 + 3), places)
    for seed, bits in zip(seeds.tolist(), together, strict=True):
        assert bits.tolist() == [[random_bits(seed, 3, place) for place in row] for row in places.tolist()]


def test_each_bit_of_seed_step_and_place_changes_half_of_the_bits():
    keys = [(derive(1, index), derive(2, index) % 2**32, derive(3, index) % 2**20) for index in range(200)]
    for part, length in ((0, 63), (1, 32), (2, 20)):
        for bit in range(length):
            changed = [(*key[:part], key[part] ^ (1 << bit), *key[part + 1 :]) for key in keys]
            flips = [(random_bits(*one) ^ random_bits(*other)).bit_count() for one, other in zip(keys, changed, strict=True)]
            assert abs(sum(flips) / len(flips) - 16) < 1.2  # 6 standard errors of a mean of 200, each of sd 2.8
