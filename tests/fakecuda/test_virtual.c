/* Virtual memory: mappings are granules, access is granted, remapping moves the bytes; and pools of stream-ordered memory. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { GRANULE = 2 << 20 };

static const CUmemAllocationProp on_first = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                             .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static const CUmemAccessDesc for_first = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static CUmemGenericAllocationHandle physical(size_t size) {
    CUmemGenericAllocationHandle handle;
    CHECK(cuMemCreate(&handle, size, &on_first, 0));
    return handle;
}

static CUdeviceptr reserve(size_t size) {
    CUdeviceptr pointer;
    CHECK(cuMemAddressReserve(&pointer, size, 0, 0, 0));
    assert_int_equal(pointer % GRANULE, 0);
    return pointer;
}

static void remapped_memory_keeps_its_bytes(void **state) {
    (void)state;
    start("");
    CUdeviceptr range = reserve(4 * GRANULE);
    CUmemGenericAllocationHandle first = physical(GRANULE), second = physical(GRANULE);
    CHECK(cuMemMap(range, GRANULE, 0, first, 0));
    CHECK(cuMemMap(range + GRANULE, GRANULE, 0, second, 0));
    CHECK(cuMemSetAccess(range, 2 * GRANULE, &for_first, 1));
    CHECK(cuMemsetD8_v2(range, 1, GRANULE));
    CHECK(cuMemsetD8_v2(range + GRANULE, 2, GRANULE));
    char bytes[2] = {0};
    get(bytes, range + GRANULE - 1, 2); /* across two mappings */
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[1], 2);
    CHECK(cuMemUnmap(range, GRANULE));
    CHECK(cuMemMap(range + 3 * GRANULE, GRANULE, 0, first, 0));
    CHECK(cuMemSetAccess(range + 3 * GRANULE, GRANULE, &for_first, 1));
    get(bytes, range + 4 * GRANULE - 1, 1);
    assert_int_equal(bytes[0], 1);
    CHECK(cuMemRelease(first));
    CHECK(cuMemRelease(second));
    assert_int_equal(fakecuda_memory_used(0), 2 * GRANULE); /* mapped still */
    CHECK(cuMemUnmap(range + GRANULE, GRANULE));
    CHECK(cuMemUnmap(range + 3 * GRANULE, GRANULE));
    assert_int_equal(fakecuda_memory_used(0), 0);
    CHECK(cuMemAddressFree(range, 4 * GRANULE));
    check_violations(0, NULL);
    assert_int_equal(fakecuda_live_objects(NULL), 0);
}

static void memory_without_access_is_not_reached(void **state) {
    (void)state;
    start("");
    CUdeviceptr range = reserve(GRANULE);
    CUmemGenericAllocationHandle handle = physical(GRANULE);
    CHECK(cuMemMap(range, GRANULE, 0, handle, 0));
    unsigned long long flags;
    CUmemLocation first = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CHECK(cuMemGetAccess(&flags, &first, range));
    assert_int_equal(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    CHECK_IS(cuMemsetD8_v2(range, 1, 1), CUDA_SUCCESS); /* the work fails, not the call */
    check_violations(1, "no access");
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void what_is_not_granules_or_not_free_is_refused(void **state) {
    (void)state;
    start("MEMORY=8MiB");
    CUdeviceptr range = reserve(2 * GRANULE), other;
    CUmemGenericAllocationHandle handle = physical(GRANULE), none;
    CHECK_IS(cuMemAddressReserve(&other, 4096, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemCreate(&none, 4096, &on_first, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuMemCreate(&none, 4 * GRANULE, &on_first, 0), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK_IS(cuMemMap(range + 4096, GRANULE, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    check_violations(0, NULL);
    CHECK_IS(cuMemMap(range + 2 * GRANULE, GRANULE, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not reserved");
    CHECK(cuMemMap(range, GRANULE, 0, handle, 0));
    CHECK_IS(cuMemMap(range, GRANULE, 0, handle, 0), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "some are mapped");
    CHECK_IS(cuMemUnmap(range, 2 * GRANULE), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not whole mappings");
    CHECK_IS(cuMemSetAccess(range, 2 * GRANULE, &for_first, 1), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not whole mappings");
    CHECK_IS(cuMemAddressFree(range, 2 * GRANULE), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "still has mappings");
    CHECK_IS(cuMemAddressFree(range, GRANULE), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no reservation");
    CHECK(cuMemRelease(handle));
    CHECK_IS(cuMemRelease(handle), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "is ended");
}

static void unmapping_what_work_uses_is_counted(void **state) {
    (void)state;
    start("");
    CUdeviceptr range = reserve(GRANULE);
    CUmemGenericAllocationHandle handle = physical(GRANULE);
    CHECK(cuMemMap(range, GRANULE, 0, handle, 0));
    CHECK(cuMemSetAccess(range, GRANULE, &for_first, 1));
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD8Async(range + 100, 1, 1, stream));
    CHECK(cuMemUnmap(range, GRANULE));
    check_violations(1, "unmapped while work uses it");
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "no memory is (any more)");
}

static void a_shared_descriptor_is_the_same_memory(void **state) {
    (void)state;
    start("");
    CUdeviceptr range = reserve(2 * GRANULE);
    CUmemGenericAllocationHandle handle = physical(GRANULE), imported;
    CHECK(cuMemMap(range, GRANULE, 0, handle, 0));
    CHECK(cuMemSetAccess(range, GRANULE, &for_first, 1));
    CHECK(cuMemsetD8_v2(range, 42, 100));
    int file;
    CHECK(cuMemExportToShareableHandle(&file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    CHECK(cuMemImportFromShareableHandle(&imported, (void *)(intptr_t)file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    close(file);
    CHECK(cuMemMap(range + GRANULE, GRANULE, 0, imported, 0));
    CHECK(cuMemSetAccess(range + GRANULE, GRANULE, &for_first, 1));
    char byte = 0;
    get(&byte, range + GRANULE, 1);
    assert_int_equal(byte, 42);
    CHECK(cuMemsetD8_v2(range + GRANULE, 43, 1));
    get(&byte, range, 1);
    assert_int_equal(byte, 43);
    assert_int_equal(fakecuda_memory_used(0), GRANULE);
    /* The exporter may go first. */
    CHECK(cuMemUnmap(range, GRANULE));
    CHECK(cuMemRelease(handle));
    get(&byte, range + GRANULE, 1);
    assert_int_equal(byte, 43);
    check_violations(0, NULL);
}

static void pooled_memory_lives_from_its_allocation_to_its_free_in_stream_order(void **state) {
    (void)state;
    start("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUdeviceptr pointer;
    CHECK(cuMemAllocAsync(&pointer, 1000, stream));
    CHECK(cuMemsetD8Async(pointer, 5, 1000, stream));
    CHECK(cuMemFreeAsync(pointer, stream));
    CHECK_IS(cuMemsetD8Async(pointer, 5, 1000, stream), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "is freed");
    CHECK_IS(cuMemFreeAsync(pointer, stream), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not the beginning");
    CHECK(cuStreamSynchronize(stream));
    check_violations(0, NULL);
    assert_int_equal(fakecuda_memory_used(0), 0); /* the threshold is 0 */
    assert_int_equal(fakecuda_live_objects(NULL), 1);
}

static void pooled_memory_used_out_of_order_is_found(void **state) {
    (void)state;
    start("");
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), second = stream_new(CU_STREAM_NON_BLOCKING);
    CUdeviceptr pointer;
    CHECK(cuMemAllocAsync(&pointer, 1000, first));
    CHECK(cuMemsetD8Async(pointer, 5, 1000, second)); /* not ordered behind the allocation */
    CHECK_IS(cuStreamSynchronize(second), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "before its allocation has run");

    start("");
    first = stream_new(CU_STREAM_NON_BLOCKING);
    second = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemAllocAsync(&pointer, 1000, first));
    CHECK(cuStreamSynchronize(first));
    CHECK(cuMemsetD8Async(pointer, 5, 1000, second));
    CHECK(cuMemFreeAsync(pointer, first)); /* not ordered behind the use */
    CHECK(cuStreamSynchronize(first));
    check_violations(1, "freed before work that uses it");
}

static void a_pool_keeps_what_its_threshold_says(void **state) {
    (void)state;
    start("MEMORY=16MiB");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUmemoryPool pool;
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CHECK(cuMemPoolCreate(&pool, &properties));
    cuuint64_t value = 4 * GRANULE;
    CHECK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value));
    CUdeviceptr pointer;
    for (int i = 0; i < 10; i++) { /* the same stream uses the bytes again before the free has run */
        CHECK(cuMemAllocFromPoolAsync(&pointer, 6 * GRANULE, pool, stream));
        CHECK(cuMemFreeAsync(pointer, stream));
    }
    assert_int_equal(fakecuda_memory_used(0), 6 * GRANULE);
    assert_int_equal(fakecuda_pending(), 20); /* nothing had to run for that */
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &value));
    assert_int_equal(value, 4 * GRANULE);
    CHECK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value));
    assert_int_equal(value, 0);
    CHECK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value));
    assert_int_equal(value, 6 * GRANULE);
    CHECK(cuMemPoolTrimTo(pool, 0));
    assert_int_equal(fakecuda_memory_used(0), 0);
    CHECK_IS(cuMemAllocFromPoolAsync(&pointer, 9 * GRANULE, pool, stream), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(cuMemAllocFromPoolAsync(&pointer, GRANULE, pool, stream));
    CHECK(cuMemPoolDestroy(pool));
    CHECK(cuMemFreeAsync(pointer, stream));
    CHECK(cuCtxSynchronize());
    assert_int_equal(fakecuda_memory_used(0), 0);
    check_violations(0, NULL);
}

static void peers_reach_memory_only_where_it_is_granted(void **state) {
    (void)state;
    start("PEERS=0");
    int can = 1;
    CHECK(cuDeviceCanAccessPeer(&can, 0, 1));
    assert_int_equal(can, 0);
    CHECK_IS(cuCtxEnablePeerAccess(contexts[1], 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
    start("");
    CHECK(cuCtxEnablePeerAccess(contexts[1], 0));
    CHECK_IS(cuCtxEnablePeerAccess(contexts[1], 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
    CHECK(cuCtxDisablePeerAccess(contexts[1]));
    CHECK_IS(cuCtxDisablePeerAccess(contexts[1]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
    CUdeviceptr here = allocate(8), there;
    CHECK(cuCtxPushCurrent_v2(contexts[1]));
    there = allocate(8);
    CUcontext popped;
    CHECK(cuCtxPopCurrent_v2(&popped));
    assert_ptr_equal(popped, contexts[1]);
    CHECK(cuMemsetD32_v2(here, 3, 2));
    CHECK(cuMemcpyPeerAsync(there, contexts[1], here, contexts[0], 8, NULL));
    int values[2] = {0};
    get(values, there, 8);
    assert_int_equal(values[1], 3);
    check_violations(0, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remapped_memory_keeps_its_bytes),
        cmocka_unit_test(memory_without_access_is_not_reached),
        cmocka_unit_test(what_is_not_granules_or_not_free_is_refused),
        cmocka_unit_test(unmapping_what_work_uses_is_counted),
        cmocka_unit_test(a_shared_descriptor_is_the_same_memory),
        cmocka_unit_test(pooled_memory_lives_from_its_allocation_to_its_free_in_stream_order),
        cmocka_unit_test(pooled_memory_used_out_of_order_is_found),
        cmocka_unit_test(a_pool_keeps_what_its_threshold_says),
        cmocka_unit_test(peers_reach_memory_only_where_it_is_granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
