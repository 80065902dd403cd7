/* Sending exports over Unix sockets: plain data, and the descriptor beside it. A message has one size, so that whatever else comes over the
 * socket is seen for what it is. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tarn/interprocess.h>

#include "base/status.h"
#include "base/structure.h"

/* What goes over the socket, between processes of one machine. */
typedef struct wire_message {
    char magic[8];
    char backend[32];
    uint64_t segment_size, offset, size, check;
} wire_message;

static const char magic[8] = {'t', 'a', 'r', 'n', 'm', 'e', 'm', '1'};

/* Room for one descriptor, aligned as the system wants it. */
typedef union descriptor_room {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
} descriptor_room;

static tarn_status send_rest(int socket, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return base_fail(TARN_IO_ERROR, "sending an exported buffer: %s", strerror(errno));
        bytes += sent;
        size -= (size_t)sent;
    }
    return TARN_OK;
}

tarn_status tarn_interprocess_send(int socket, const tarn_exported_buffer *exported) {
    tarn_exported_buffer read;
    if (exported == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the export to send is NULL");
    tarn_status status = base_read_structure("interprocess_send", exported, &read, sizeof read);
    if (status != TARN_OK) return status;
    if (read.descriptor < 0) return base_fail(TARN_INVALID_ARGUMENT, "the export to send is closed");
    wire_message message = {
        .segment_size = read.segment_size, .offset = read.offset, .size = read.size, .check = read.check};
    memcpy(message.magic, magic, sizeof magic);
    memcpy(message.backend, read.backend, sizeof message.backend);
    descriptor_room room = {.bytes = {0}};
    struct iovec data = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    struct cmsghdr *control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(control), &read.descriptor, sizeof read.descriptor);
    ssize_t sent;
    do sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return base_fail(TARN_IO_ERROR, "sending an exported buffer: %s", strerror(errno));
    return send_rest(socket, (const char *)&message + sent, sizeof message - (size_t)sent);
}

/* The descriptor that came along; -1, with all closed, where it is not just one. */
static int descriptor_in(struct msghdr *header) {
    int descriptor = -1;
    size_t count = 0;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
        size_t came = (control->cmsg_len - CMSG_LEN(0)) / sizeof descriptor;
        for (size_t i = 0; i < came; i++) {
            if (count++ > 0) close(descriptor);
            memcpy(&descriptor, CMSG_DATA(control) + i * sizeof descriptor, sizeof descriptor);
        }
    }
    if (count < 2) return descriptor;
    close(descriptor);
    return -1;
}

/* Whether the socket gives bytes, and not messages: only there is what is missing of a message still to come. */
static bool is_stream(int socket) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* Reads what is missing of a message that a stream brings in pieces. IO_ERROR: it ends before. */
static tarn_status receive_rest(int socket, wire_message *message, size_t received) {
    while (received < sizeof *message) {
        ssize_t more = recv(socket, (char *)message + received, sizeof *message - received, 0);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) {
            return base_fail(TARN_IO_ERROR, "receiving an exported buffer: %s, after %zu of %zu bytes",
                             more < 0 ? strerror(errno) : "the other side has closed", received, sizeof *message);
        }
        received += (size_t)more;
    }
    return TARN_OK;
}

/* Whether so many bytes begin as a message does. */
static bool is_beginning(const wire_message *message, size_t received) {
    return memcmp(message->magic, magic, received < sizeof magic ? received : sizeof magic) == 0;
}

static void fill(const wire_message *message, int descriptor, tarn_exported_buffer *out_full) {
    *out_full = (tarn_exported_buffer){.struct_size = sizeof *out_full,
                                       .segment_size = message->segment_size,
                                       .offset = message->offset,
                                       .size = message->size,
                                       .check = message->check,
                                       .descriptor = descriptor};
    memcpy(out_full->backend, message->backend, sizeof out_full->backend);
}

tarn_status tarn_interprocess_receive(int socket, tarn_exported_buffer *out_exported) {
    if (out_exported == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the export is NULL");
    wire_message message;
    descriptor_room room = {.bytes = {0}};
    struct iovec data = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ssize_t received;
    do received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0) return base_fail(TARN_IO_ERROR, "receiving an exported buffer: %s", strerror(errno));
    if (received == 0) return base_fail(TARN_IO_ERROR, "receiving an exported buffer: the other side has closed");
    int descriptor = descriptor_in(&header);
    size_t size = (size_t)received;
    bool is_part = size < sizeof message && is_stream(socket);
    bool is_export = descriptor >= 0 && (header.msg_flags & MSG_TRUNC) == 0 && is_beginning(&message, size) &&
                     (is_part || size == sizeof message);
    tarn_status status = is_part ? receive_rest(socket, &message, size) : TARN_OK;
    /* The bytes after the beginning may be something else, too. */
    if (!is_export || (status == TARN_OK && !is_beginning(&message, sizeof message))) {
        status = base_fail(TARN_CORRUPT_DATA, "what came over the socket is no exported buffer");
    }
    if (status == TARN_OK) {
        tarn_exported_buffer full;
        fill(&message, descriptor, &full);
        status = base_fill_structure(out_exported, &full, sizeof full, "tarn_exported_buffer");
    }
    if (status != TARN_OK && descriptor >= 0) close(descriptor);
    return status;
}
