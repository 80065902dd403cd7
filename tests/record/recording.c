/* The recorder is tested from outside: a program is run with it and the trace is read with the library. */
#include "recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include <sys/wait.h>

int recording_set_up(void **state) {
    recorded *recording = calloc(1, sizeof *recording);
    if (!recording) return -1;
    strcpy(recording->folder, "/tmp/tarn-recordXXXXXX");
    if (!mkdtemp(recording->folder)) {
        free(recording);
        return -1;
    }
    snprintf(recording->path, sizeof recording->path, "%s/trace", recording->folder);
    *state = recording;
    return 0;
}

int recording_tear_down(void **state) {
    recorded *recording = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", recording->folder);
    int status = system(command);
    free(recording);
    return status;
}

/* The file that the variable names, else the one in the build's folder. */
static const char *file_of_build(const char *variable, const char *name, char out_path[512]) {
    const char *file = getenv(variable), *folder = getenv("TARN_BUILD_DIR");
    if (file) return file;
    snprintf(out_path, 512, "%s/%s", folder ? folder : ".", name);
    return out_path;
}

const char *recording_subject(void) {
    static char path[512];
    return file_of_build("TARN_RECORD_SUBJECT", "tests/record/record_subject", path);
}

static void redirect(const recorded *recording, const char *name, int file) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", recording->folder, name);
    int opened = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (opened < 0 || dup2(opened, file) < 0) _exit(125);
    close(opened);
}

static void read_back(const recorded *recording, const char *name, char *out_text, size_t room) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", recording->folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    out_text[fread(out_text, 1, room - 1, file)] = '\0';
    fclose(file);
}

static void become(const recorded *recording, const char *const *command, const char *const *environment,
                   rlim_t file_limit) {
    char path[512];
    const char *recorder = file_of_build("TARN_RECORDER", "libtarn-record.so", path);
    redirect(recording, "output", STDOUT_FILENO);
    redirect(recording, "complaints", STDERR_FILENO);
    setenv("TARN_RECORD_FILE", recording->path, 1);
    for (; *environment; environment++) putenv((char *)(uintptr_t)*environment);
    if (file_limit != RLIM_INFINITY) {
        const struct rlimit limit = {file_limit, file_limit};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(125);
    }
    setenv("LD_PRELOAD", recorder, 1);
    execv(command[0], (char *const *)(uintptr_t)command);
    _exit(126);
}

void recording_run(recorded *recording, const char *const *command, const char *const *environment, rlim_t file_limit) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) become(recording, command, environment, file_limit);
    assert_int_equal(waitpid(child, &recording->status, 0), child);
    read_back(recording, "output", recording->output, sizeof recording->output);
    read_back(recording, "complaints", recording->complaints, sizeof recording->complaints);
}

void recording_run_scenario(recorded *recording, const char *scenario, const char *minimum) {
    char setting[64];
    snprintf(setting, sizeof setting, "TARN_RECORD_MIN_SIZE=%s", minimum);
    const char *command[] = {recording_subject(), scenario, NULL}, *environment[] = {setting, NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    assert_string_equal(recording->complaints, "");
    assert_int_equal(recording->status, 0);
}

tarn_trace *recording_read(const char *path) {
    tarn_trace *trace = NULL;
    if (tarn_trace_read(path, &trace) != TARN_OK) fail_msg("%s", tarn_last_error());
    tarn_trace_info info = {.struct_size = sizeof info};
    assert_int_equal(tarn_trace_info_get(trace, &info), TARN_OK);
    const tarn_trace_event *events = tarn_trace_events(trace);
    unsigned char *is_alive = calloc(info.allocation_count + 1, 1);
    assert_non_null(is_alive);
    for (size_t i = 0; i < info.event_count; i++) {
        bool allocates = events[i].action == TARN_TRACE_ALLOCATE;
        assert_true(allocates || events[i].action == TARN_TRACE_FREE);
        assert_int_equal(is_alive[events[i].id], !allocates);
        is_alive[events[i].id] = allocates;
        assert_true(i == 0 || events[i].time_ns >= events[i - 1].time_ns);
    }
    free(is_alive);
    return trace;
}

recording_counts recording_count(const tarn_trace *trace, uint64_t size) {
    tarn_trace_info info = {.struct_size = sizeof info};
    tarn_trace_info_get(trace, &info);
    const tarn_trace_event *events = tarn_trace_events(trace);
    unsigned char *is_counted = calloc(info.allocation_count + 1, 1);
    assert_non_null(is_counted);
    recording_counts counts = {0};
    for (size_t i = 0; i < info.event_count; i++) {
        if (events[i].action == TARN_TRACE_ALLOCATE) {
            is_counted[events[i].id] = events[i].size == size;
            counts.allocations += events[i].size == size;
        } else {
            counts.frees += is_counted[events[i].id];
        }
    }
    free(is_counted);
    return counts;
}
