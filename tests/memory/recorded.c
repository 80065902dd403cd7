/* Where the recorded jobs lie: in the folder that TARN_SHARED_DATA names. */
#include "recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "stand.h"

const char *const recorded_snapshots[RECORDED_SNAPSHOTS] = {
    "xl-128-train-step",     "xl-512-forward-mixed", "medium-128-inference",
    "medium-1024-inference", "medium-256-training",  "medium-512-training",
};

tarn_trace *recorded_open(const char *name) {
    const char *folder = getenv("TARN_SHARED_DATA");
    struct stat status;
    char path[512];
    if (folder == NULL) {
        print_message("skipped: TARN_SHARED_DATA does not say where the snapshots are\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/pytorch-snapshots/%s.pickle", folder, name);
    if (stat(path, &status) != 0) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    tarn_trace *trace = NULL;
    EXPECT_OK(tarn_trace_read(path, &trace));
    return trace;
}
