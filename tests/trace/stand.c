/* The stand of the trace tests. */
#include "stand.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/trace_internal.h"

static char folder[64];
static char message[1024];

tarn_trace *trace_of(const void *data, size_t size) {
    tarn_trace *trace = NULL;
    tarn_status status = trace_read_memory(data, size, "input", &trace);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    return trace;
}

tarn_trace *trace_of_text(const char *text) { return trace_of(text, strlen(text)); }

void expect_last_error(const char *part) {
    if (strstr(tarn_last_error(), part) == NULL) fail_msg("\"%s\" lacks \"%s\"", tarn_last_error(), part);
}

void expect_refused(const void *data, size_t size, tarn_status status, const char *part) {
    tarn_trace *trace = NULL;
    assert_int_equal(trace_read_memory(data, size, "input", &trace), status);
    assert_null(trace);
    expect_last_error("input");
    expect_last_error(part);
}

void expect_text_refused(const char *text, tarn_status status, const char *part) {
    expect_refused(text, strlen(text), status, part);
}

tarn_trace_info info_of(const tarn_trace *trace) {
    tarn_trace_info info = {.struct_size = sizeof info};
    assert_int_equal(tarn_trace_info_get(trace, &info), TARN_OK);
    return info;
}

void path_in_folder(const char *name, char out_path[256]) {
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/tarn-trace-XXXXXX");
        assert_non_null(mkdtemp(folder));
    }
    snprintf(out_path, 256, "%s/%s", folder, name);
}

void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

char *read_file(const char *path, size_t *out_size) {
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    char *data = calloc((size_t)about.st_size + 1, 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(data);
    assert_non_null(file);
    assert_int_equal(fread(data, 1, (size_t)about.st_size, file), about.st_size);
    fclose(file);
    if (out_size != NULL) *out_size = (size_t)about.st_size;
    return data;
}

/* Counts the folder's files, and deletes them where that is asked. */
static size_t visit_folder(int deletes) {
    size_t count = 0;
    DIR *directory = opendir(folder);
    if (directory == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        count++;
        if (!deletes) continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        remove(path);
    }
    closedir(directory);
    return count;
}

size_t files_in_folder(void) { return visit_folder(0); }

int remove_folder(void **state) {
    (void)state;
    visit_folder(1);
    if (folder[0] != '\0') rmdir(folder);
    return 0;
}

static void hear(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    snprintf(message, sizeof message, "%s", sentence);
}

void listen_to_log(void) {
    message[0] = '\0';
    tarn_log_set(hear, NULL, TARN_LOG_DEBUG);
}

const char *last_message(void) { return message; }
