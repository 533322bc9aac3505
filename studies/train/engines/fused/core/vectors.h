// Vectors as GCC and Clang have them, and memory that fits them.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int VECTOR_BYTES = 16, REGISTERS = 32;
#else
constexpr int VECTOR_BYTES = 16, REGISTERS = 16;
#endif

constexpr int PADDING_BYTES = VECTOR_BYTES < 32 ? VECTOR_BYTES : 32;  // rows of more than 16 bytes are multiples of these

template <class T, int BYTES>
struct Vector {
    typedef T type __attribute__((vector_size(BYTES)));
    static constexpr int lanes = BYTES / sizeof(T);
};

// The vector at any number, and back.
template <class V, class T>
inline V load(const T* x) {
    V vector;
    std::memcpy(&vector, x, sizeof(vector));
    return vector;
}

template <class V, class T>
inline void store(T* x, V vector) {
    std::memcpy(x, &vector, sizeof(vector));
}

// Numbers in a row of `count` with its padding, which is 0 wherever a product may see it.
template <class T>
constexpr int padded(int count) {
    int step = count * sizeof(T) <= 16 ? 16 : PADDING_BYTES, numbers = step / sizeof(T);
    return (count + numbers - 1) / numbers * numbers;
}

// The least multiple of a vector's numbers from `count` on: loops to there have no remainder.
template <class T>
constexpr int whole_vectors(int count) {
    constexpr int numbers = VECTOR_BYTES / sizeof(T);
    return (count + numbers - 1) / numbers * numbers;
}

struct Freed {
    void operator()(void* memory) const { std::free(memory); }
};

// `count` zeros at the start of a cache line.
template <class T>
class Numbers {
public:
    explicit Numbers(size_t count = 0) : count_(count) {
        size_t bytes = (count * sizeof(T) / 64 + 1) * 64;
        memory_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
        if (!memory_) throw std::bad_alloc();
        std::memset(memory_.get(), 0, bytes);
    }
    operator T*() { return memory_.get(); }
    operator const T*() const { return memory_.get(); }
    size_t size() const { return count_; }

private:
    size_t count_;
    std::unique_ptr<T, Freed> memory_;
};
