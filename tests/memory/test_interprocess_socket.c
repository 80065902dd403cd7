/* Exports over sockets: what comes in pieces, what is none, and a peer that ends in the middle of one. */
#include "stand.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct here {
    test_stand stand;
    tarn_buffer *buffer;
    tarn_exported_buffer exported;
} here;

static int open_here(void **state) {
    static here opened;
    opened = (here){.exported = {.struct_size = sizeof opened.exported}};
    stand_open(&opened.stand, "direct:kind=shared", "cpu");
    opened.buffer = take(&opened.stand, 100000, NULL);
    EXPECT_OK(tarn_buffer_export(opened.buffer, &opened.exported));
    *state = &opened;
    return 0;
}

static int close_here(void **state) {
    here *opened = *state;
    tarn_exported_buffer_close(&opened->exported);
    give(&opened->stand, opened->buffer, NULL);
    stand_close(&opened->stand);
    return 0;
}

/* What comes over a socket, in the pieces given, is no export. */
static void expect_no_export(tarn_status status, const void *bytes, size_t size) {
    int sockets[2];
    tarn_exported_buffer received = {.struct_size = sizeof received, .descriptor = -7};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_int_equal(write(sockets[0], bytes, size), (ssize_t)size);
    close(sockets[0]);
    EXPECT(status, tarn_interprocess_receive(sockets[1], &received));
    assert_int_equal(received.descriptor, -7);
    close(sockets[1]);
}

static void what_comes_instead_of_an_export_is_refused(void **state) {
    here *opened = *state;
    char bytes[256] = "tarnmem1";
    expect_no_export(TARN_IO_ERROR, bytes, 0);
    expect_no_export(TARN_CORRUPT_DATA, bytes, 5);
    expect_no_export(TARN_CORRUPT_DATA, bytes, sizeof bytes);
    int sockets[2];
    tarn_exported_buffer received = {.struct_size = sizeof received};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_int_equal(write(sockets[0], bytes, sizeof bytes), (ssize_t)sizeof bytes);
    EXPECT(TARN_CORRUPT_DATA, tarn_interprocess_receive(sockets[1], &received));
    EXPECT_OK(tarn_interprocess_send(sockets[0], &opened->exported));
    received.struct_size = 4;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_interprocess_receive(sockets[1], &received));
    close(sockets[1]);
    EXPECT(TARN_IO_ERROR, tarn_interprocess_send(sockets[0], &opened->exported));
    EXPECT(TARN_IO_ERROR, tarn_interprocess_receive(sockets[1], &received));
    close(sockets[0]);
}

static void an_export_that_comes_in_pieces_is_put_together(void **state) {
    here *opened = *state;
    int from[2], to[2], descriptor = -1;
    char bytes[256], control[CMSG_SPACE(sizeof(int))];
    tarn_exported_buffer received = {.struct_size = sizeof received};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, from), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to), 0);
    EXPECT_OK(tarn_interprocess_send(from[0], &opened->exported));
    struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(from[1], &message, MSG_CMSG_CLOEXEC);
    assert_true(size > 10);
    const struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first != NULL) memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
    assert_true(descriptor >= 0);
    data.iov_len = 10;
    assert_int_equal(sendmsg(to[0], &message, 0), 10);
    /* The rest is there before the first piece is read, but is not read with it: descriptors part what a stream gives. */
    for (ssize_t i = 10; i < size; i++) assert_int_equal(write(to[0], bytes + i, 1), 1);
    EXPECT_OK(tarn_interprocess_receive(to[1], &received));
    assert_int_equal(received.check, opened->exported.check);
    assert_int_equal(received.size, opened->exported.size);
    tarn_exported_buffer_close(&received);
    close(descriptor);
    for (int i = 0; i < 2; i++) close(from[i]), close(to[i]);
}

static size_t count_descriptors(void) {
    size_t count = 0;
    for (int descriptor = 0; descriptor < 1024; descriptor++) count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

/* An export has one descriptor: of a message that brings more, none stays open. */
static void descriptors_beside_the_one_are_closed(void **state) {
    here *opened = *state;
    int sockets[2], sent[2] = {opened->exported.descriptor, opened->exported.descriptor}, from[2];
    char bytes[256], control[CMSG_SPACE(sizeof sent)];
    tarn_exported_buffer received = {.struct_size = sizeof received, .descriptor = -7};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, from), 0);
    EXPECT_OK(tarn_interprocess_send(from[0], &opened->exported));
    ssize_t size = read(from[1], bytes, sizeof bytes);
    assert_true(size > 0);
    struct iovec data = {.iov_base = bytes, .iov_len = (size_t)size};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof sent);
    memcpy(CMSG_DATA(first), sent, sizeof sent);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_int_equal(sendmsg(sockets[0], &message, 0), size);
    size_t before = count_descriptors();
    EXPECT(TARN_CORRUPT_DATA, tarn_interprocess_receive(sockets[1], &received));
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(received.descriptor, -7);
    for (int i = 0; i < 2; i++) close(from[i]), close(sockets[i]);
}

/* Passes the first bytes of an export on, with its descriptor, over a pair of sockets of that kind. */
static void send_beginning(const tarn_exported_buffer *exported, size_t size, int type, int out_sockets[2]) {
    int from[2], descriptor = -1;
    char bytes[256], control[CMSG_SPACE(sizeof(int))];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, from), 0);
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out_sockets), 0);
    EXPECT_OK(tarn_interprocess_send(from[0], exported));
    struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    assert_true(recvmsg(from[1], &message, MSG_CMSG_CLOEXEC) > (ssize_t)size);
    const struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first != NULL) memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
    assert_true(descriptor >= 0);
    data.iov_len = size;
    assert_int_equal(sendmsg(out_sockets[0], &message, 0), (ssize_t)size);
    close(descriptor);
    for (int i = 0; i < 2; i++) close(from[i]);
}

static void a_peer_that_ends_within_an_export_has_closed(void **state) {
    here *opened = *state;
    tarn_exported_buffer received = {.struct_size = sizeof received, .descriptor = -7};
    int sockets[2];
    send_beginning(&opened->exported, 10, SOCK_STREAM, sockets);
    close(sockets[0]);
    size_t before = count_descriptors();
    EXPECT(TARN_IO_ERROR, tarn_interprocess_receive(sockets[1], &received));
    EXPECT_SENTENCE("the other side has closed, after 10 of 72 bytes");
    assert_int_equal(received.descriptor, -7);
    assert_int_equal(count_descriptors(), before);
    close(sockets[1]);
}

static void a_socket_that_fails_within_an_export_says_why(void **state) {
    here *opened = *state;
    tarn_exported_buffer received = {.struct_size = sizeof received, .descriptor = -7};
    int sockets[2];
    send_beginning(&opened->exported, 10, SOCK_STREAM, sockets);
    assert_int_equal(fcntl(sockets[1], F_SETFL, O_NONBLOCK), 0);
    size_t before = count_descriptors();
    EXPECT(TARN_IO_ERROR, tarn_interprocess_receive(sockets[1], &received));
    EXPECT_SENTENCE(", after 10 of 72 bytes");
    assert_int_equal(received.descriptor, -7);
    assert_int_equal(count_descriptors(), before);
    for (int i = 0; i < 2; i++) close(sockets[i]);
}

/* Where messages keep their bounds, the next one is no rest of this one, and nothing is waited for. */
static void a_message_that_is_too_short_is_no_export(void **state) {
    here *opened = *state;
    tarn_exported_buffer received = {.struct_size = sizeof received, .descriptor = -7};
    int sockets[2];
    send_beginning(&opened->exported, 10, SOCK_SEQPACKET, sockets);
    EXPECT_OK(tarn_interprocess_send(sockets[0], &opened->exported));
    EXPECT(TARN_CORRUPT_DATA, tarn_interprocess_receive(sockets[1], &received));
    assert_int_equal(received.descriptor, -7);
    EXPECT_OK(tarn_interprocess_receive(sockets[1], &received));
    assert_int_equal(received.check, opened->exported.check);
    tarn_exported_buffer_close(&received);
    for (int i = 0; i < 2; i++) close(sockets[i]);
}

#define SOCKET_TEST(name) cmocka_unit_test_setup_teardown(name, open_here, close_here)

int main(void) {
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(what_comes_instead_of_an_export_is_refused),
        SOCKET_TEST(an_export_that_comes_in_pieces_is_put_together),
        SOCKET_TEST(descriptors_beside_the_one_are_closed),
        SOCKET_TEST(a_peer_that_ends_within_an_export_has_closed),
        SOCKET_TEST(a_socket_that_fails_within_an_export_says_why),
        SOCKET_TEST(a_message_that_is_too_short_is_no_export),
    };
    return cmocka_run_group_tests_name("memory interprocess socket", tests, NULL, NULL);
}
