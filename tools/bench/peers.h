/* The contenders of `tarn bench alloc`: each is measured in a process of its own. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>

/* The option with which the tool measures the patterns in this process and prints the figures; for peers.c alone. */
#define PEER_OPTION "measure"

typedef struct bench_peer {
    const char *name;
    const char *library; /* what is preloaded: a name that is looked for in the usual folders; NULL: nothing */
    const char *spec;    /* one of Tarn's stacks; NULL: malloc */
    char path[256];      /* of the library; empty where there is none */
    bool is_present;
    char reason[160]; /* why it is not */
} bench_peer;

/* Looks for the libraries. */
void peers_find(bench_peer *peers, size_t count);
/* Runs all patterns on one contender, in a new process: `out_ns` gets as many figures as there are patterns. Where that fails,
 * the contender is not present any more and says why. */
bool peer_measure(bench_peer *peer, double budget_ns, double *out_ns);
/* That new process: measures and prints. `argument` is "SPEC:BUDGET" with an empty spec for malloc. Returns an exit code. */
int peer_child(const char *argument);

#endif
