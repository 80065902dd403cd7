/* Runs a command under the recorder and looks into the trace that it leaves. */
#ifndef TESTS_RECORDING_H
#define TESTS_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include <sys/resource.h>

#include <tarn/trace.h>

typedef struct recorded {
    char folder[64];
    char path[128];                     /* of the trace */
    int status;                         /* as waitpid gives it */
    char output[512], complaints[1024]; /* stdout and stderr */
} recorded;

/* cmocka's setup and teardown: a folder of its own for each test. */
int recording_set_up(void **state);
int recording_tear_down(void **state);

/* Runs `command` (NULL at its end) with settings from `environment` ("NAME=VALUE", NULL at its end). `file_limit`: RLIMIT_FSIZE of
 * the command, RLIM_INFINITY for none. */
void recording_run(recorded *recording, const char *const *command, const char *const *environment, rlim_t file_limit);
/* The same for a scenario of the subject, which must end with status 0. */
void recording_run_scenario(recorded *recording, const char *scenario, const char *minimum);

/* Where the subject and the recorder lie. */
const char *recording_subject(void);

typedef struct recording_counts {
    size_t allocations, frees;
} recording_counts;

/* Reads the trace and checks of every event that its block was not alive, or alive, as it must be. Caller releases it. */
tarn_trace *recording_read(const char *path);
/* The blocks of one size. */
recording_counts recording_count(const tarn_trace *trace, uint64_t size);

#endif
