// The same from C++: an owner that frees what it allocated.
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

#include <tarn/tarn.h>

namespace {

void check(tarn_status status) {
    if (status != TARN_OK) throw std::runtime_error(std::string(tarn_status_name(status)) + ": " + tarn_last_error());
}

class Buffer {
public:
    Buffer(tarn_allocator *allocator, std::size_t size) {
        check(tarn_allocator_allocate(allocator, size, nullptr, &handle));
    }
    ~Buffer() { tarn_buffer_free(handle, nullptr); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    std::uint8_t *data() const { return static_cast<std::uint8_t *>(tarn_buffer_data(handle)); }

private:
    tarn_buffer *handle = nullptr;
};

} // namespace

int main() try {
    tarn_device *device = nullptr;
    tarn_allocator *allocator = nullptr;
    check(tarn_device_open("cpu", &device));
    check(tarn_allocator_create(device, "caching", &allocator));
    {
        Buffer buffer(allocator, 4096);
        buffer.data()[4095] = 1;
    }
    check(tarn_allocator_release(allocator));
    check(tarn_device_release(device));
    return 0;
} catch (const std::exception &failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
}
