/* Children. Both ends of the conversation are files: the input is one that nobody sees, so that the child may read when it likes, and the
 * output is a pipe that is read to its end before the child is waited for. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

/* A file to read `text` from; -1 when there is none. */
static int input_of(const char *text) {
    if (text == NULL) return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int file = memfd_create("input", MFD_CLOEXEC);
    size_t length = strlen(text);
    if (file < 0) return -1;
    while (length > 0) {
        ssize_t written = write(file, text, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        text += written;
        length -= (size_t)written;
    }
    if (length == 0 && lseek(file, 0, SEEK_SET) == 0) return file;
    close(file);
    return -1;
}

static int run_between(const bench_child *child, int input, const int output[2]) {
    fflush(NULL);
    pid_t process = fork();
    if (process == 0) {
        if (dup2(input, STDIN_FILENO) < 0 || dup2(output[1], STDOUT_FILENO) < 0) _exit(CHILD_NOT_FOUND);
        signal(SIGPIPE, SIG_DFL);
        child->become(child->become_context);
        _exit(CHILD_NOT_FOUND);
    }
    close(output[1]);
    FILE *stream = process > 0 ? fdopen(output[0], "r") : NULL;
    bool is_read = stream != NULL && child->read(child->read_context, stream);
    if (stream != NULL) fclose(stream);
    else close(output[0]);
    int status = -1;
    while (process > 0 && waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
    return status == 0 && !is_read ? -1 : status;
}

int child_run(const bench_child *child) {
    int output[2], input = input_of(child->input), status = -1;
    if (input < 0) return -1;
    if (pipe2(output, O_CLOEXEC) == 0) status = run_between(child, input, output);
    close(input);
    return status;
}
