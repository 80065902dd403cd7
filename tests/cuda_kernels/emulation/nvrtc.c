/* A libnvrtc for tests: it hands sources to the host's C++ compiler, with the emulation, and what it calls a binary names the shared object
 * that came of it, which the fake driver loads.
 *
 * FAKECUDA_COMPILE is the compiler's command, up to the source; FAKECUDA_KERNELS the object with the kernels of all modules (.cu), which are
 * not compiled again. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct program {
    char *text, *name;
    int header_count;
    char **headers, **names;
    char binary[4096], log[4096];
} program;

/* As NVRTC numbers them. */
enum { SUCCESS = 0, INVALID_INPUT = 3, COMPILATION = 6 };

EXPORT int nvrtcVersion(int *out_major, int *out_minor);
EXPORT int nvrtcGetNumSupportedArchs(int *out_count);
EXPORT int nvrtcGetSupportedArchs(int *out_architectures);
EXPORT int nvrtcCreateProgram(program **out_program, const char *text, const char *name, int header_count,
                              const char *const *headers, const char *const *names);
EXPORT int nvrtcDestroyProgram(program **inout_program);
EXPORT int nvrtcCompileProgram(program *made, int option_count, const char *const *options);
EXPORT int nvrtcGetCUBINSize(program *made, size_t *out_size);
EXPORT int nvrtcGetCUBIN(program *made, char *out_bytes);
EXPORT int nvrtcGetProgramLogSize(program *made, size_t *out_size);
EXPORT int nvrtcGetProgramLog(program *made, char *out_log);

/* Folders of compiled objects, which are removed when the process ends. */
typedef struct folder_entry {
    char path[512];
    struct folder_entry *next;
} folder_entry;

static folder_entry *folders;
static pthread_mutex_t folders_lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(const char *path) {
    folder_entry *entry = calloc(1, sizeof *entry);
    snprintf(entry->path, sizeof entry->path, "%s", path);
    pthread_mutex_lock(&folders_lock);
    entry->next = folders;
    folders = entry;
    pthread_mutex_unlock(&folders_lock);
}

__attribute__((destructor)) static void remove_folders(void) {
    while (folders != NULL) {
        folder_entry *entry = folders;
        folders = entry->next;
        char line[600];
        snprintf(line, sizeof line, "rm -rf '%s'", entry->path);
        if (system(line) != 0) perror(entry->path);
        free(entry);
    }
}

int nvrtcVersion(int *out_major, int *out_minor) {
    *out_major = 12;
    *out_minor = 0;
    return SUCCESS;
}

int nvrtcGetNumSupportedArchs(int *out_count) {
    *out_count = 2;
    return SUCCESS;
}

int nvrtcGetSupportedArchs(int *out_architectures) {
    out_architectures[0] = 75;
    out_architectures[1] = 90;
    return SUCCESS;
}

static char **copy_texts(int count, const char *const *texts) {
    char **copies = calloc((size_t)count + 1, sizeof *copies);
    for (int i = 0; i < count; i++) copies[i] = strdup(texts[i]);
    return copies;
}

static void free_texts(char **texts) {
    for (char **at = texts; *at != NULL; at++) free(*at);
    free(texts);
}

int nvrtcCreateProgram(program **out_program, const char *text, const char *name, int header_count,
                       const char *const *headers, const char *const *names) {
    program *made = calloc(1, sizeof *made);
    made->text = strdup(text);
    made->name = strdup(name);
    made->header_count = header_count;
    made->headers = copy_texts(header_count, headers);
    made->names = copy_texts(header_count, names);
    *out_program = made;
    return SUCCESS;
}

int nvrtcDestroyProgram(program **inout_program) {
    program *ended = *inout_program;
    free(ended->text);
    free(ended->name);
    free_texts(ended->headers);
    free_texts(ended->names);
    free(ended);
    *inout_program = NULL;
    return SUCCESS;
}

static int write_file(const char *folder, const char *name, const char *before, const char *text, const char *behind) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) return 0;
    int written = fprintf(file, "%s%s%s", before, text, behind);
    return fclose(file) == 0 && written >= 0;
}

/* Sources and headers go to a folder of their own; the object stays when it is compiled. */
static int compile(program *made, const char *command, const char *folder) {
    char line[8192], log[600];
    int is_written =
        write_file(folder, "source.cpp", "#include \"emulation.h\"\n", made->text, "\nEMULATED(tarn_generated)\n");
    for (int i = 0; i < made->header_count && is_written; i++)
        is_written = write_file(folder, made->names[i], "", made->headers[i], "");
    snprintf(line, sizeof line, "%s -I%s %s/source.cpp -o %s/object.so >%s/log 2>&1", command, folder, folder, folder,
             folder);
    if (is_written && system(line) == 0) return SUCCESS;
    snprintf(log, sizeof log, "%s/log", folder);
    FILE *file = fopen(log, "r");
    size_t length = file != NULL ? fread(made->log, 1, sizeof made->log - 1, file) : 0;
    made->log[length] = '\0';
    if (file != NULL) fclose(file);
    return COMPILATION;
}

int nvrtcCompileProgram(program *made, int option_count, const char *const *options) {
    const char *command = getenv("FAKECUDA_COMPILE"), *kernels = getenv("FAKECUDA_KERNELS"), *place = getenv("TMPDIR");
    int names_architecture = 0;
    for (int i = 0; i < option_count; i++) names_architecture |= strncmp(options[i], "--gpu-architecture=sm_", 22) == 0;
    if (!names_architecture || command == NULL || kernels == NULL) return INVALID_INPUT;
    const char *ending = strrchr(made->name, '.');
    if (ending != NULL && strcmp(ending, ".cu") == 0) {
        snprintf(made->binary, sizeof made->binary, "FAKECUDA-OBJECT:%s", kernels);
        return SUCCESS;
    }
    char folder[512];
    snprintf(folder, sizeof folder, "%s/fakecuda-XXXXXX", place != NULL ? place : "/tmp");
    if (mkdtemp(folder) == NULL) return INVALID_INPUT;
    remember(folder);
    int result = compile(made, command, folder);
    if (result == SUCCESS) snprintf(made->binary, sizeof made->binary, "FAKECUDA-OBJECT:%s/object.so", folder);
    return result;
}

int nvrtcGetCUBINSize(program *made, size_t *out_size) {
    *out_size = strlen(made->binary) + 1;
    return SUCCESS;
}

int nvrtcGetCUBIN(program *made, char *out_bytes) {
    strcpy(out_bytes, made->binary);
    return SUCCESS;
}

int nvrtcGetProgramLogSize(program *made, size_t *out_size) {
    *out_size = strlen(made->log) + 1;
    return SUCCESS;
}

int nvrtcGetProgramLog(program *made, char *out_log) {
    strcpy(out_log, made->log);
    return SUCCESS;
}
