/* Devices: made up, and they say so. Their attributes are those of a current data-centre GPU of compute capability 9.0. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char device_name[] = "Fake NVIDIA GPU (no hardware)";

fake_device *device_at(CUdevice ordinal) {
    return ordinal >= 0 && ordinal < MOST_DEVICES ? the_driver.devices[ordinal] : NULL;
}

void devices_make(void) {
    for (int i = 0; i < the_driver.settings.devices; i++) {
        fake_device *made = obtain(sizeof *made);
        made->ordinal = i;
        made->file = memfd_create("fakecuda-device", MFD_CLOEXEC);
        /* As long as offsets go: bytes are never used twice, and what was not touched takes no room. */
        if (made->file < 0 || ftruncate(made->file, (off_t)1 << 62) != 0) {
            perror("fakecuda: memfd");
            abort();
        }
        made->primary.on = made;
        made->primary.id = ++the_driver.next_id;
        made->default_pool = pool_make(made);
        made->default_pool->is_default = true;
        made->current_pool = made->default_pool;
        the_driver.devices[i] = made;
    }
}

void devices_reset(void) {
    for (int i = 0; i < MOST_DEVICES; i++) {
        fake_device *ended = the_driver.devices[i];
        if (ended == NULL) continue;
        while (ended->primary.streams != NULL) stream_end(ended->primary.streams);
        close(ended->file);
        free(ended);
        the_driver.devices[i] = NULL;
    }
}

size_t device_used(const fake_device *device) {
    return device->large_bytes + (device->small_bytes + GRANULE - 1) / GRANULE * GRANULE;
}

bool device_take(fake_device *device, size_t bytes) {
    if (bytes > the_driver.settings.memory - device_used(device)) return false;
    device->large_bytes += bytes;
    return true;
}

void device_give(fake_device *device, size_t bytes) { device->large_bytes -= bytes; }

CUresult cuDeviceGetCount(int *count) {
    ENTER(cuDeviceGetCount);
    if (count == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *count = the_driver.settings.devices;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER(cuDeviceGet);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *device = ordinal;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetName(char *name, int length, CUdevice ordinal) {
    ENTER(cuDeviceGetName);
    if (name == NULL || length <= 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    snprintf(name, (size_t)length, "%s", device_name);
    LEAVE(CUDA_SUCCESS);
}

static CUresult give_uuid(CUuuid *uuid, CUdevice ordinal) {
    if (uuid == NULL) return CUDA_ERROR_INVALID_VALUE;
    if (device_at(ordinal) == NULL) return CUDA_ERROR_INVALID_DEVICE;
    memcpy(uuid->bytes, "no hardware GPU", 16);
    uuid->bytes[15] = (char)ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice ordinal) {
    ENTER(cuDeviceGetUuid_v2);
    LEAVE(give_uuid(uuid, ordinal));
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice ordinal) {
    ENTER(cuDeviceGetUuid);
    LEAVE(give_uuid(uuid, ordinal));
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice ordinal) {
    ENTER(cuDeviceTotalMem_v2);
    if (bytes == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *bytes = the_driver.settings.memory;
    LEAVE(CUDA_SUCCESS);
}

/* What is not in the table is 0. */
static const struct {
    CUdevice_attribute attribute;
    int value;
} attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, MAXIMUM_PITCH},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1980000},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 3201000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 6144},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 62914560},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
    {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR},
    {CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, 1},
};

static int attribute_of(CUdevice_attribute attribute, int ordinal) {
    if (attribute == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) return 0xf0 + ordinal;
    bool is_of_pools = attribute == CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED ||
                       attribute == CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES;
    if (is_of_pools && !the_driver.settings.pools) return 0;
    if (attribute == CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS && !the_driver.settings.concurrent) return 0;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (attributes[i].attribute == attribute) return attributes[i].value;
    return 0;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice ordinal) {
    ENTER(cuDeviceGetAttribute);
    if (value == NULL || (int)attribute <= 0 || (int)attribute > 200) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *value = attribute_of(attribute, ordinal);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice ordinal) {
    ENTER(cuDeviceGetPCIBusId);
    if (text == NULL || length <= 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    snprintf(text, (size_t)length, "0000:%02X:00.0", 0xf0 + (unsigned)ordinal);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice ordinal, CUdevice peer) {
    ENTER(cuDeviceCanAccessPeer);
    if (can == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL || device_at(peer) == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *can = the_driver.settings.peers && ordinal != peer;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice ordinal, CUdevice peer) {
    ENTER(cuDeviceGetP2PAttribute);
    if (value == NULL || (int)attribute < 1 || attribute > CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_at(ordinal) == NULL || device_at(peer) == NULL || ordinal == peer) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *value = attribute == CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ? 0 : the_driver.settings.peers;
    LEAVE(CUDA_SUCCESS);
}
