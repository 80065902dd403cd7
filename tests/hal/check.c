/* Checks that show Tarn's own sentence, and children. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than any child takes, shorter than the time limit of a test. */
#define CHILD_SECONDS 60

void check_status(tarn_status answered, tarn_status expected, const char *call, const char *file, int line) {
    if (answered == expected) return;
    print_error("%s answered %s, not %s: %s\n", call, tarn_status_name(answered), tarn_status_name(expected),
                answered != TARN_OK ? tarn_last_error() : "");
    _fail(file, line);
}

void check_sentence(const char *text, const char *file, int line) {
    if (strstr(tarn_last_error(), text) != NULL) return;
    print_error("\"%s\" does not contain \"%s\"\n", tarn_last_error(), text);
    _fail(file, line);
}

tarn_device_counters counters_of(tarn_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    assert_ok(tarn_device_counters_get(device, &counters));
    return counters;
}

tarn_device_properties properties_of(tarn_device *device) {
    tarn_device_properties properties = {.struct_size = sizeof properties};
    assert_ok(tarn_device_properties_get(device, &properties));
    return properties;
}

int exit_of_child(int (*body)(void *context), void *context) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* cmocka would take a fault for a failed test of its own, and go on with the others. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        alarm(CHILD_SECONDS);
        _exit(body(context));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
