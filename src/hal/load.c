/* Backends from shared objects: opened, looked over, and closed again when they are not whole.
 *
 * At first use those are loaded that TARN_BACKEND_PATH lists, and then those that lie in the folder of backends beside the object that the
 * library is in: libtarn itself, or a program that has it inside. */
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/registry.h"

#define PATH_VARIABLE "TARN_BACKEND_PATH"
#define FOLDER "tarn-backends"
/* The folder of libraries, seen from that of programs, as they are installed. */
#ifndef TARN_LIBRARY_FOLDER
#define TARN_LIBRARY_FOLDER "../lib"
#endif

/* Opening anything but a file could block (a FIFO) or do something (a device). */
static tarn_status check_is_file(const char *path) {
    struct stat status;
    if (strchr(path, '/') == NULL) return TARN_OK; /* a bare name: the loader looks for it */
    if (stat(path, &status) != 0) return base_fail(TARN_UNAVAILABLE, "there is no backend \"%s\"", path);
    if (!S_ISREG(status.st_mode)) return base_fail(TARN_UNAVAILABLE, "backend \"%s\" is not a file", path);
    return TARN_OK;
}

tarn_status hal_load(const char *path) {
    tarn_status status = check_is_file(path);
    if (status != TARN_OK) return status;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return base_fail(TARN_UNAVAILABLE, "backend \"%s\" cannot be opened: %s", path,
                         why != NULL ? why : "no reason given");
    }
    const tarn_backend *table = dlsym(library, TARN_BACKEND_SYMBOL);
    if (table == NULL) {
        status = base_fail(TARN_INVALID_ARGUMENT, "\"%s\" is no backend: it exports no %s", path, TARN_BACKEND_SYMBOL);
    } else {
        status = hal_table_check(table);
        if (status == TARN_OK) status = hal_registry_add(table, path);
        if (status != TARN_OK) base_fail_within(status, "backend \"%s\"", path);
    }
    /* A backend that was added stays loaded for the life of the process. */
    if (status != TARN_OK) dlclose(library);
    return status;
}

/* The reasons for what could not be loaded, joined: the variable is complained about once. */
typedef struct complaints {
    char text[768];
    size_t length;
} complaints;

static void add_complaint(complaints *out_complaints, const char *sentence) {
    size_t room = sizeof out_complaints->text - out_complaints->length;
    int length = snprintf(out_complaints->text + out_complaints->length, room, "%s%s",
                          out_complaints->length > 0 ? "; " : "", sentence);
    if (length > 0) out_complaints->length += (size_t)length < room ? (size_t)length : room - 1;
}

static int is_backend_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > strlen("libtarn-.so") && strncmp(entry->d_name, "libtarn-", 8) == 0 &&
           strcmp(entry->d_name + length - 3, ".so") == 0;
}

/* The folder's backends in the order of their names. */
static void load_folder(const char *folder, complaints *out_complaints) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_backend_file, alphasort);
    if (count < 0) {
        base_fail(TARN_IO_ERROR, "the folder \"%s\" cannot be read", folder);
        add_complaint(out_complaints, tarn_last_error());
        return;
    }
    for (int i = 0; i < count; i++) {
        size_t size = strlen(folder) + strlen(entries[i]->d_name) + 2;
        char *path = base_allocate(size, 1);
        if (path == NULL) {
            add_complaint(out_complaints, "no host memory for a file's name");
        } else {
            snprintf(path, size, "%s/%s", folder, entries[i]->d_name);
            if (hal_load(path) != TARN_OK) add_complaint(out_complaints, tarn_last_error());
        }
        base_free(path);
        free(entries[i]);
    }
    free(entries);
}

static void load_entry(const char *entry, complaints *out_complaints) {
    struct stat status;
    if (stat(entry, &status) == 0 && S_ISDIR(status.st_mode)) load_folder(entry, out_complaints);
    else if (hal_load(entry) != TARN_OK) add_complaint(out_complaints, tarn_last_error());
}

/* Writes the folder of the object that this function is in; false where that is not known. */
static bool find_own_folder(char *out_folder, size_t capacity) {
    static const char anchor;
    Dl_info info;
    struct link_map *object = NULL;
    if (dladdr1(&anchor, &info, (void **)&object, RTLD_DL_LINKMAP) == 0 || object == NULL) return false;
    /* A program has no name there. */
    ssize_t length = object->l_name[0] != '\0' ? snprintf(out_folder, capacity, "%s", object->l_name)
                                               : readlink("/proc/self/exe", out_folder, capacity);
    if (length <= 0 || (size_t)length >= capacity) return false;
    out_folder[length] = '\0';
    char *slash = strrchr(out_folder, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    return true;
}

/* What lies beside the library was put there with it, so that one that cannot be used is worth no more than a warning. One of a name
 * that TARN_BACKEND_PATH has brought already is left alone. */
static void load_beside(const char *own_folder, const char *folder) {
    char path[PATH_MAX];
    struct dirent **entries = NULL;
    int length = snprintf(path, sizeof path, "%s/%s", own_folder, folder);
    if (length < 0 || (size_t)length >= sizeof path) return;
    int count = scandir(path, &entries, is_backend_file, alphasort);
    for (int i = 0; i < count; i++) {
        int end = snprintf(path + length, sizeof path - (size_t)length, "/%s", entries[i]->d_name);
        tarn_status status = end > 0 && (size_t)end < sizeof path - (size_t)length ? hal_load(path) : TARN_OK;
        if (status != TARN_OK && status != TARN_ALREADY_EXISTS) base_log(TARN_LOG_WARNING, "%s", tarn_last_error());
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

static void load_listed(void) {
    const char *value = base_config_text(PATH_VARIABLE);
    if (value == NULL) return;
    complaints found = {.length = 0};
    char *copy = base_duplicate(value);
    if (copy == NULL) {
        add_complaint(&found, "no host memory to read it");
    } else {
        char *rest = copy;
        for (char *entry = strsep(&rest, ":"); entry != NULL; entry = strsep(&rest, ":")) {
            if (*entry != '\0') load_entry(entry, &found);
        }
    }
    base_free(copy);
    if (found.length > 0) base_config_complain(PATH_VARIABLE, value, found.text);
}

void hal_load_path(void) {
    char folder[PATH_MAX];
    load_listed();
    if (!find_own_folder(folder, sizeof folder)) return;
    load_beside(folder, FOLDER);
    load_beside(folder, TARN_LIBRARY_FOLDER "/" FOLDER);
}
