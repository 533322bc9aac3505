import pytest
import torch

from framework.streams import Streams, derive, generator

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


def test_streams_of_equal_key_are_one():
    streams = Streams([(5,), (3,), (5,), (0,), (3,)])
    assert streams.keys == [(5,), (3,), (0,)]
    assert streams.member.tolist() == [0, 1, 0, 2, 1]


def test_a_stream_starts_at_the_last_number_of_its_key_and_goes_on():
    streams = Streams([(1, 5), (2, 5), (1, 6)])
    alone = [generator(5), generator(5), generator(6)]
    for _ in range(3):
        drawn = streams.draw(lambda stream: torch.rand(4, generator=stream))
        assert torch.equal(drawn, torch.stack([torch.rand(4, generator=one) for one in alone]))
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])


def test_what_a_stream_draws_does_not_depend_on_its_neighbours():
    def drawn(keys, key):
        streams = Streams(keys)
        place = streams.member[keys.index(key)]
        return torch.stack([streams.draw(lambda stream: torch.randperm(20, generator=stream))[place] for _ in range(3)])

    alone = drawn([(4,)], (4,))
    assert torch.equal(drawn([(9,), (4,), (2,)], (4,)), alone)
    assert torch.equal(drawn([(4,), (4,), (9,)], (4,)), alone)
