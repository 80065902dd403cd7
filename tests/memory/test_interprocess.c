/* Buffers between processes: this program starts itself again as the other process, with a socket and a part to play. */
#include "stand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "child.h"

#define SIZE ((size_t)100000)

/* The other process. */

static void fill_bytes(tarn_buffer *buffer, int seed) {
    unsigned char *bytes = tarn_buffer_data(buffer);
    for (size_t i = 0; i < tarn_buffer_size(buffer); i++) bytes[i] = (unsigned char)((size_t)seed + i * 7);
}

static int has_bytes(tarn_buffer *buffer, int seed) {
    const unsigned char *bytes = tarn_buffer_data(buffer);
    for (size_t i = 0; i < tarn_buffer_size(buffer); i++)
        if (bytes[i] != (unsigned char)((size_t)seed + i * 7)) return 0;
    return 1;
}

static void tell(int socket) { (void)!write(socket, "!", 1); }

static void await(int socket) {
    char byte;
    while (read(socket, &byte, 1) < 0 && errno == EINTR) {}
}

static tarn_buffer *import_from(int socket, tarn_device *device) {
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    tarn_buffer *buffer = NULL;
    if (tarn_interprocess_receive(socket, &exported) != TARN_OK) return NULL;
    tarn_status status = tarn_buffer_import(device, &exported, NULL, &buffer);
    tarn_exported_buffer_close(&exported);
    return status == TARN_OK ? buffer : NULL;
}

/* Finds what the parent wrote, answers in place, and gives everything back. */
static int play_reader(int socket, tarn_device *device) {
    tarn_buffer *buffer = import_from(socket, device);
    if (buffer == NULL || !has_bytes(buffer, 1)) return 2;
    fill_bytes(buffer, 2);
    return tarn_buffer_free(buffer, NULL) == TARN_OK && tarn_device_release(device) == TARN_OK ? 0 : 3;
}

/* Dies in the middle, with the buffer imported and changed. */
static int play_victim(int socket, tarn_device *device) {
    tarn_buffer *buffer = import_from(socket, device);
    if (buffer == NULL || !has_bytes(buffer, 1)) return 2;
    fill_bytes(buffer, 2);
    kill(getpid(), SIGKILL);
    return 4;
}

/* Keeps the buffer beyond the end of its exporter's. */
static int play_keeper(int socket, tarn_device *device) {
    tarn_buffer *buffer = import_from(socket, device);
    if (buffer == NULL) return 2;
    tell(socket);
    await(socket);
    int is_there = has_bytes(buffer, 1);
    return tarn_buffer_free(buffer, NULL) == TARN_OK && is_there ? 0 : 3;
}

/* Exports two buffers that lie in one allocation, and dies. */
static int play_sender(int socket, tarn_device *device) {
    tarn_allocator *allocator;
    if (tarn_allocator_create(device, "pool | direct:kind=shared", &allocator) != TARN_OK) return 2;
    for (int i = 0; i < 2; i++) {
        tarn_buffer *buffer;
        tarn_exported_buffer exported = {.struct_size = sizeof exported};
        if (tarn_allocator_allocate(allocator, SIZE, NULL, &buffer) != TARN_OK) return 3;
        fill_bytes(buffer, 10 + i);
        if (tarn_buffer_export(buffer, &exported) != TARN_OK) return 4;
        if (tarn_interprocess_send(socket, &exported) != TARN_OK) return 5;
    }
    _exit(0);
}

static int play(const char *part, int socket) {
    tarn_device *device;
    child_begin();
    if (tarn_device_open("cpu", &device) != TARN_OK) return 1;
    if (strcmp(part, "reader") == 0) return play_reader(socket, device);
    if (strcmp(part, "victim") == 0) return play_victim(socket, device);
    if (strcmp(part, "keeper") == 0) return play_keeper(socket, device);
    return play_sender(socket, device);
}

/* This process. */

typedef struct other {
    pid_t process;
    int socket;
} other;

static other start(const char *part) {
    int sockets[2];
    char number[16], program[4096] = "";
    assert_true(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    snprintf(number, sizeof number, "%d", sockets[1]);
    other started = {.process = fork(), .socket = sockets[0]};
    assert_true(started.process >= 0);
    if (started.process == 0) {
        fcntl(sockets[1], F_SETFD, 0);
        execl(program, program, part, number, (char *)NULL);
        _exit(127);
    }
    close(sockets[1]);
    return started;
}

/* The exit status; 1000 and the signal that ended it. */
static int end_of(other started) {
    int status;
    while (waitpid(started.process, &status, 0) < 0 && errno == EINTR) {}
    close(started.socket);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

typedef struct here {
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_buffer *buffer;
    tarn_exported_buffer exported;
} here;

static int open_here(void **state) {
    static here opened;
    memset(&opened, 0, sizeof opened);
    EXPECT_OK(tarn_device_open("cpu", &opened.device));
    EXPECT_OK(tarn_allocator_create(opened.device, "direct:kind=shared", &opened.allocator));
    EXPECT_OK(tarn_allocator_allocate(opened.allocator, SIZE, NULL, &opened.buffer));
    fill_bytes(opened.buffer, 1);
    opened.exported.struct_size = sizeof opened.exported;
    EXPECT_OK(tarn_buffer_export(opened.buffer, &opened.exported));
    *state = &opened;
    return 0;
}

static int close_here(void **state) {
    here *opened = *state;
    tarn_device_counters counters = {.struct_size = sizeof counters};
    tarn_exported_buffer_close(&opened->exported);
    if (tarn_buffer_is_valid(opened->buffer)) EXPECT_OK(tarn_buffer_free(opened->buffer, NULL));
    EXPECT_OK(tarn_allocator_release(opened->allocator));
    EXPECT_OK(tarn_device_counters_get(opened->device, &counters));
    EXPECT_OK(tarn_device_release(opened->device));
    return counters.memory_in_use == 0 ? 0 : -1;
}

static void two_processes_use_one_buffer(void **state) {
    here *opened = *state;
    other reader = start("reader");
    EXPECT_OK(tarn_interprocess_send(reader.socket, &opened->exported));
    assert_int_equal(end_of(reader), 0);
    assert_true(has_bytes(opened->buffer, 2));
}

static void an_importer_that_is_killed_takes_nothing_away(void **state) {
    here *opened = *state;
    other victim = start("victim");
    EXPECT_OK(tarn_interprocess_send(victim.socket, &opened->exported));
    assert_int_equal(end_of(victim), 1000 + SIGKILL);
    assert_true(has_bytes(opened->buffer, 2));
}

static void what_was_imported_outlives_the_exporters_buffer(void **state) {
    here *opened = *state;
    other keeper = start("keeper");
    EXPECT_OK(tarn_interprocess_send(keeper.socket, &opened->exported));
    await(keeper.socket);
    EXPECT_OK(tarn_buffer_free(opened->buffer, NULL));
    tell(keeper.socket);
    assert_int_equal(end_of(keeper), 0);
}

static void what_was_exported_outlives_its_process(void **state) {
    here *opened = *state;
    other sender = start("sender");
    tarn_exported_buffer received[2];
    for (int i = 0; i < 2; i++) {
        received[i].struct_size = sizeof received[i];
        EXPECT_OK(tarn_interprocess_receive(sender.socket, &received[i]));
    }
    assert_int_equal(end_of(sender), 0);
    assert_true(received[0].offset != received[1].offset);
    for (int i = 0; i < 2; i++) {
        tarn_buffer *buffer;
        EXPECT_OK(tarn_buffer_import(opened->device, &received[i], NULL, &buffer));
        tarn_exported_buffer_close(&received[i]);
        assert_int_equal(tarn_buffer_size(buffer), SIZE);
        assert_true(has_bytes(buffer, 10 + i));
        EXPECT_OK(tarn_buffer_free(buffer, NULL));
    }
}

static void the_exporter_can_import_what_is_its_own(void **state) {
    here *opened = *state;
    tarn_buffer *again;
    EXPECT_OK(tarn_buffer_import(opened->device, &opened->exported, NULL, &again));
    assert_ptr_not_equal(tarn_buffer_data(again), tarn_buffer_data(opened->buffer));
    fill_bytes(again, 3);
    assert_true(has_bytes(opened->buffer, 3));
    tarn_exported_buffer twice = {.struct_size = sizeof twice};
    EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_export(again, &twice));
    EXPECT_OK(tarn_buffer_free(again, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(again, NULL));
}

static int count_block(void *context, const tarn_block_info *info) {
    (void)info;
    ++*(int *)context;
    return 0;
}

static void an_imported_buffer_has_an_allocator_that_hands_out_nothing(void **state) {
    here *opened = *state;
    tarn_buffer *buffer, *found, *more = NULL;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    int count = 0;
    EXPECT_OK(tarn_buffer_import(opened->device, &opened->exported, NULL, &buffer));
    tarn_allocator *allocator = tarn_allocator_retain(tarn_buffer_allocator(buffer));
    EXPECT(TARN_SHUT_DOWN, tarn_allocator_allocate(allocator, 1, NULL, &more));
    EXPECT_OK(tarn_allocator_find(allocator, tarn_buffer_data(buffer), &found));
    assert_ptr_equal(found, buffer);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(allocator, &count, &found));
    EXPECT_OK(tarn_allocator_each_block(allocator, count_block, &count));
    EXPECT_OK(tarn_allocator_stats(allocator, &stats));
    assert_int_equal(count, 1);
    assert_int_equal(stats.in_use_bytes.current, SIZE);
    assert_int_equal(stats.reserved_bytes.current, opened->exported.segment_size);
    EXPECT_OK(tarn_allocator_free(allocator, buffer, NULL));
    EXPECT_OK(tarn_allocator_each_block(allocator, count_block, &count));
    EXPECT_OK(tarn_allocator_stats(allocator, &stats));
    assert_int_equal(count, 1);
    assert_int_equal(stats.in_use_bytes.current + stats.reserved_bytes.current, 0);
    EXPECT_OK(tarn_allocator_release(allocator));
}

static void add_to_first_byte(void *context) { ++*(unsigned char *)context; }

static void a_free_waits_for_the_streams_that_use_the_memory(void **state) {
    here *opened = *state;
    tarn_stream *streams[2];
    tarn_buffer *buffer;
    unsigned char *ours = tarn_buffer_data(opened->buffer);
    for (int i = 0; i < 2; i++) EXPECT_OK(tarn_stream_create(opened->device, &streams[i]));
    EXPECT_OK(tarn_buffer_import(opened->device, &opened->exported, streams[0], &buffer));
    EXPECT_OK(tarn_buffer_record_stream(buffer, streams[1]));
    *ours = 0;
    for (int i = 0; i < 100; i++)
        EXPECT_OK(tarn_stream_enqueue(streams[1], add_to_first_byte, tarn_buffer_data(buffer)));
    EXPECT_OK(tarn_buffer_free(buffer, streams[0]));
    assert_int_equal(*ours, 100);
    for (int i = 0; i < 2; i++) EXPECT_OK(tarn_stream_release(streams[i]));
}

/* What arrives. */

/* As the exporter's own sum: a forger who knows it. */
static void sign(tarn_exported_buffer *exported) {
    const void *parts[] = {exported->backend, &exported->segment_size, &exported->offset, &exported->size};
    const size_t sizes[] = {sizeof exported->backend, 8, 8, 8};
    exported->check = UINT64_C(0xcbf29ce484222325);
    for (int part = 0; part < 4; part++)
        for (size_t i = 0; i < sizes[part]; i++)
            exported->check = (exported->check ^ ((const unsigned char *)parts[part])[i]) * UINT64_C(0x100000001b3);
}

static void expect_refused(here *opened, const tarn_exported_buffer *exported, tarn_status status,
                           const char *sentence) {
    tarn_buffer *buffer = NULL;
    EXPECT(status, tarn_buffer_import(opened->device, exported, NULL, &buffer));
    EXPECT_SENTENCE(sentence);
    assert_null(buffer);
}

static void what_was_changed_on_the_way_is_refused(void **state) {
    here *opened = *state;
    for (size_t i = offsetof(tarn_exported_buffer, backend); i < offsetof(tarn_exported_buffer, descriptor); i++) {
        tarn_exported_buffer changed = opened->exported;
        ((unsigned char *)&changed)[i] ^= 0x20;
        expect_refused(opened, &changed, TARN_INVALID_ARGUMENT, "was changed");
    }
    tarn_exported_buffer closed = opened->exported;
    closed.descriptor = -1;
    expect_refused(opened, &closed, TARN_INVALID_ARGUMENT, "closed");
}

static void a_forged_range_is_refused(void **state) {
    here *opened = *state;
    static const struct {
        int64_t segment, offset, size;
        const char *sentence;
    } forgeries[] = {
        {0, 1 << 20, 0, "are not in a segment"},   {0, 0, 1 << 20, "are not in a segment"},
        {0, 1, 0, "are not in a segment"},         {0, -1, 0, "are not in a segment"},
        {1 << 20, 0, 0, "are expected"},           {-4096, 0, 0, "are not in a segment"},
        {INT64_MIN, 0, 0, "are not in a segment"},
    };
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        tarn_exported_buffer forged = opened->exported;
        forged.size = forged.segment_size;
        forged.segment_size += (uint64_t)forgeries[i].segment;
        forged.offset += (uint64_t)forgeries[i].offset;
        forged.size += (uint64_t)forgeries[i].size;
        sign(&forged);
        expect_refused(opened, &forged, TARN_INVALID_ARGUMENT, forgeries[i].sentence);
    }
    tarn_exported_buffer nothing = opened->exported;
    nothing.size = 0;
    sign(&nothing);
    expect_refused(opened, &nothing, TARN_INVALID_ARGUMENT, "0 bytes");
    tarn_exported_buffer foreign = opened->exported;
    memcpy(foreign.backend, "sim", 4);
    sign(&foreign);
    expect_refused(opened, &foreign, TARN_INVALID_ARGUMENT, "backend \"sim\"");
    memset(foreign.backend, 'x', sizeof foreign.backend);
    sign(&foreign);
    expect_refused(opened, &foreign, TARN_INVALID_ARGUMENT, "never was one");
}

static void a_descriptor_of_something_else_is_refused(void **state) {
    here *opened = *state;
    tarn_exported_buffer forged = opened->exported;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    forged.descriptor = pipes[0];
    expect_refused(opened, &forged, TARN_INVALID_ARGUMENT, "is not one of shared memory");
    close(pipes[0]);
    close(pipes[1]);
    expect_refused(opened, &forged, TARN_INVALID_ARGUMENT, "is not one of shared memory");
    /* Memory of the right size that its maker could cut short later. */
    forged.descriptor = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(forged.descriptor, (off_t)forged.segment_size), 0);
    expect_refused(opened, &forged, TARN_INVALID_ARGUMENT, "could change");
    close(forged.descriptor);
}

static void memory_that_fits_no_address_space_is_not_imported(void **state) {
    here *opened = *state;
    tarn_exported_buffer forged = opened->exported;
    forged.segment_size = UINT64_C(1) << 47;
    sign(&forged);
    forged.descriptor = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(forged.descriptor, (off_t)forged.segment_size), 0);
    assert_int_equal(fcntl(forged.descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    expect_refused(opened, &forged, TARN_OUT_OF_MEMORY, "128 TiB");
    close(forged.descriptor);
}

static void memory_that_was_given_back_is_not_imported(void **state) {
    here *opened = *state;
    EXPECT_OK(tarn_buffer_free(opened->buffer, NULL));
    expect_refused(opened, &opened->exported, TARN_INVALID_STATE, "was freed by the process that exported it");
    tarn_exported_buffer stale = {.struct_size = sizeof stale};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_export(opened->buffer, &stale));
}

static void other_memory_is_not_exported(void **state) {
    here *opened = *state;
    tarn_allocator *allocator;
    tarn_buffer *buffer;
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    EXPECT_OK(tarn_allocator_create(opened->device, "caching", &allocator));
    EXPECT_OK(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer));
    EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_export(buffer, &exported));
    EXPECT_SENTENCE("a buffer of caching");
    EXPECT_SENTENCE("cpu");
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    EXPECT_OK(tarn_allocator_release(allocator));
}

static void a_device_without_shared_memory_says_so(void **state) {
    (void)state;
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_buffer *buffer;
    tarn_exported_buffer exported = {.struct_size = sizeof exported, .backend = "sim", .segment_size = 64, .size = 64};
    sign(&exported);
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_create(device, "direct:kind=shared", &allocator));
    EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_import(device, &exported, NULL, &buffer));
    EXPECT_SENTENCE("sim:1GiB has no memory that processes can share");
    EXPECT_OK(tarn_allocator_create(device, "direct", &allocator));
    EXPECT_OK(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer));
    EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_export(buffer, &exported));
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    EXPECT_OK(tarn_allocator_release(allocator));
    EXPECT_OK(tarn_device_release(device));
}

static void what_is_null_or_of_another_size_is_refused(void **state) {
    here *opened = *state;
    tarn_buffer *buffer;
    tarn_exported_buffer odd = opened->exported;
    odd.struct_size = 4;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_export(opened->buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_export(NULL, &odd));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_export(opened->buffer, &odd));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_import(opened->device, &odd, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_import(NULL, &opened->exported, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_import(opened->device, &opened->exported, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_interprocess_send(-1, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_interprocess_send(-1, &odd));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_interprocess_receive(-1, NULL));
    tarn_exported_buffer_close(NULL);
    odd = opened->exported;
    odd.descriptor = -1;
    tarn_exported_buffer_close(&odd);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_interprocess_send(-1, &odd));
    EXPECT(TARN_IO_ERROR, tarn_interprocess_send(-1, &opened->exported));
}

/* Faults. */

static void each_lack_of_host_memory_is_survived(void **state) {
    here *opened = *state;
    tarn_buffer *buffer = NULL;
    for (unsigned long n = 1; buffer == NULL; n++) {
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_buffer_import(opened->device, &opened->exported, NULL, &buffer);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
    }
    tarn_stream *stream;
    EXPECT_OK(tarn_stream_create(opened->device, &stream));
    base_memory_fail_at(1, 1);
    EXPECT_OK(tarn_buffer_free(buffer, stream));
    base_memory_fail_at(0, 0);
    EXPECT_OK(tarn_stream_release(stream));
    base_memory_fail_at(1, 1);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(opened->allocator, SIZE, NULL, &buffer));
    base_memory_fail_at(0, 0);
}

static void descriptors_that_run_out_are_no_memory(void **state) {
    here *opened = *state;
    struct rlimit limit, none;
    tarn_buffer *buffer;
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    tarn_status allocated = tarn_allocator_allocate(opened->allocator, SIZE, NULL, &buffer);
    tarn_status exporting = tarn_buffer_export(opened->buffer, &exported);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(allocated, TARN_OUT_OF_MEMORY);
    assert_int_equal(exporting, TARN_OUT_OF_MEMORY);
    EXPECT_OK(tarn_buffer_export(opened->buffer, &exported));
    tarn_exported_buffer_close(&exported);
}

#define INTERPROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(int count, char **arguments) {
    if (count == 3) return play(arguments[1], atoi(arguments[2]));
    const struct CMUnitTest tests[] = {
        INTERPROCESS_TEST(two_processes_use_one_buffer),
        INTERPROCESS_TEST(an_importer_that_is_killed_takes_nothing_away),
        INTERPROCESS_TEST(what_was_imported_outlives_the_exporters_buffer),
        INTERPROCESS_TEST(what_was_exported_outlives_its_process),
        INTERPROCESS_TEST(the_exporter_can_import_what_is_its_own),
        INTERPROCESS_TEST(an_imported_buffer_has_an_allocator_that_hands_out_nothing),
        INTERPROCESS_TEST(a_free_waits_for_the_streams_that_use_the_memory),
        INTERPROCESS_TEST(what_was_changed_on_the_way_is_refused),
        INTERPROCESS_TEST(a_forged_range_is_refused),
        INTERPROCESS_TEST(a_descriptor_of_something_else_is_refused),
        INTERPROCESS_TEST(memory_that_fits_no_address_space_is_not_imported),
        INTERPROCESS_TEST(memory_that_was_given_back_is_not_imported),
        INTERPROCESS_TEST(other_memory_is_not_exported),
        INTERPROCESS_TEST(a_device_without_shared_memory_says_so),
        INTERPROCESS_TEST(what_is_null_or_of_another_size_is_refused),
        INTERPROCESS_TEST(each_lack_of_host_memory_is_survived),
        INTERPROCESS_TEST(descriptors_that_run_out_are_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
