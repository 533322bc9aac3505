// Random numbers as the framework draws them: orders by torch's generator, dropout by a counter.
#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

// A bijection of 32 bits: "lowbias32" of C. Wellons with the multipliers found by TheIronBorn.
inline uint32_t mix(uint32_t x) {
    x ^= x >> 16, x *= 0x21f0aaad;
    x ^= x >> 15, x *= 0xd35a2d97;
    return x ^ (x >> 15);
}

// The 32 bits of every place in one step.
struct StepBits {
    uint32_t a, b;
    uint32_t operator()(uint32_t place) const { return mix(mix(place ^ a) ^ b); }
};

// Bits by seed, step and place, as `framework.streams` has them.
class CountedBits {
public:
    explicit CountedBits(uint64_t seed) : low_(uint32_t(seed)), high_(uint32_t(seed >> 32)) {}

    StepBits next() {
        uint32_t a = mix(step_++ ^ low_);
        return {a, mix(~a ^ high_)};
    }

private:
    uint32_t low_, high_, step_ = 0;
};

// Permutations as `torch.randperm` draws them on the CPU: a Mersenne Twister, whose seed is the last 32 bits.
class Orders {
public:
    explicit Orders(uint64_t seed) : generator_(uint32_t(seed)) {}

    void draw(std::vector<int32_t>& order) {
        const uint32_t count = order.size(), swaps = count - 1;
        drawn_.resize(count);
        std::iota(order.begin(), order.end(), 0);
        for (uint32_t i = 0; i < swaps; ++i) drawn_[i] = uint32_t(generator_());
        for (uint32_t i = 0; i < swaps; ++i) drawn_[i] = i + remainder(drawn_[i], count - i);
        for (uint32_t i = 0; i < swaps; ++i) std::swap(order[i], order[drawn_[i]]);
    }

private:
    // x mod n. The quotient in double, of 53 bits, is never rounded up to the next whole number; a loop over this becomes vectors.
    static uint32_t remainder(uint32_t x, uint32_t n) { return x - uint32_t(int64_t(double(x) / double(n))) * n; }

    std::mt19937 generator_;
    std::vector<uint32_t> drawn_;
};
