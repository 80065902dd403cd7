/* A program to be recorded: each scenario makes a known number of blocks of sizes that nothing else in a small program asks for. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#define MIB ((size_t)1 << 20)

/* Leaves the mapped block 1000007 alive. */
static int every_function(void) {
    void *aligned = NULL;
    void *block = malloc(1000001);
    void *zeroed = calloc(2, 500001);
    block = realloc(block, 1000003);
    block = reallocarray(block, 4, 250001);
    if (posix_memalign(&aligned, 4096, 1000005) != 0) return 1;
    void *others[] = {zeroed,          aligned,         aligned_alloc(64, 1000064), memalign(256, 1000006),
                      valloc(1000008), pvalloc(1000009)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) free(others[i]);
    void *left = malloc(1000007);
    free(block);
    return left == NULL;
}

static int small_blocks(void) {
    void *blocks[777];
    for (size_t i = 0; i < 777; i++) blocks[i] = malloc(12345);
    for (size_t i = 0; i < 777; i++) free(blocks[i]);
    free(malloc(0));
    return 0;
}

static int failing_realloc(void) {
    void *block = malloc(1000001);
    if (realloc(block, PTRDIFF_MAX) != NULL || errno != ENOMEM) return 1;
    free(block);
    if (realloc(malloc(1000002), 0) != NULL) return 1;
    return reallocarray(NULL, SIZE_MAX, 2) != NULL;
}

enum { HANDOVERS = 20000, PAIRS = 2 };

typedef struct handover {
    _Atomic(void *) block;
} handover;

static void *give(void *context) {
    handover *place = context;
    for (int i = 0; i < HANDOVERS; i++) {
        void *block = malloc(54321);
        while (place->block != NULL) sched_yield();
        place->block = block;
    }
    return NULL;
}

static void *take(void *context) {
    handover *place = context;
    for (int i = 0; i < HANDOVERS; i++) {
        void *block;
        while ((block = place->block) == NULL) sched_yield();
        place->block = NULL;
        free(block);
    }
    return NULL;
}

/* Each block is freed by another thread than the one that made it, and the address goes round. */
static int threads(void) {
    pthread_t workers[2 * PAIRS];
    static handover places[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        if (pthread_create(&workers[2 * i], NULL, give, &places[i]) != 0) return 1;
        if (pthread_create(&workers[2 * i + 1], NULL, take, &places[i]) != 0) return 1;
    }
    for (int i = 0; i < 2 * PAIRS; i++) pthread_join(workers[i], NULL);
    return 0;
}

/* The child's number is printed. */
static int forked(void) {
    void *before = malloc(1000001);
    pid_t child = fork();
    if (child == 0) {
        free(before);
        free(malloc(1000002));
        void *left = malloc(1000003);
        _exit(left == NULL);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 1;
    free(before);
    printf("%ld\n", (long)child);
    return 0;
}

static int vforked(void) {
    void *block = malloc(1000001);
    pid_t child = vfork();
    if (child == 0) _exit(0);
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 1;
    free(block);
    return 0;
}

static int replaced(void) {
    void *lost = malloc(1000001);
    if (lost) execl("/proc/self/exe", "record_subject", "small_blocks", (char *)NULL);
    return 1;
}

static int mappings(void) {
    const int both = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    /* Neither small ones nor reserved address space count. */
    munmap(mmap(NULL, 4096, both, anonymous, -1, 0), 4096);
    munmap(mmap(NULL, 64 * MIB, PROT_NONE, anonymous, -1, 0), 64 * MIB);
    /* Eight, without the first two, a hole of one in the middle. */
    char *block = mmap(NULL, 8 * MIB, both, anonymous, -1, 0);
    munmap(block, 2 * MIB);
    munmap(block + 4 * MIB, MIB);
    munmap(block + 2 * MIB, 6 * MIB);
    /* Three, grown to five, replaced by four at the same place and the fifth. */
    block = mmap(NULL, 3 * MIB, both, anonymous, -1, 0);
    block = mremap(block, 3 * MIB, 5 * MIB, MREMAP_MAYMOVE);
    block = mmap(block, 4 * MIB, both, anonymous | MAP_FIXED, -1, 0);
    munmap(block, 5 * MIB);
    return munmap(block + 1, MIB) == 0;
}

static int many(void) {
    for (int i = 0; i < 100000; i++) free(malloc(4321));
    return 0;
}

static int closes_files(void) {
    close_range(3, ~0u, 0);
    int file = dup(1);
    int status = small_blocks();
    return file == 3 ? status : 1;
}

static int exits_at_once(void) {
    small_blocks();
    _exit(7);
}

static int is_killed(void) {
    small_blocks();
    usleep(150000);
    free(malloc(12346));
    raise(SIGKILL);
    return 1;
}

static int exits_quickly(void) {
    small_blocks();
    quick_exit(9);
}

static const struct scenario {
    const char *name;
    int (*run)(void);
} scenarios[] = {
    {"every_function", every_function},
    {"small_blocks", small_blocks},
    {"failing_realloc", failing_realloc},
    {"threads", threads},
    {"forked", forked},
    {"vforked", vforked},
    {"replaced", replaced},
    {"mappings", mappings},
    {"many", many},
    {"closes_files", closes_files},
    {"exits_at_once", exits_at_once},
    {"is_killed", is_killed},
    {"exits_quickly", exits_quickly},
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (argc == 2 && strcmp(argv[1], scenarios[i].name) == 0) return scenarios[i].run();
    }
    return 2;
}
