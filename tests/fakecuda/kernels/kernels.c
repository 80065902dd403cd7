/* Kernels for the tests of the fake driver, as it wants them: NAME_on_host, NAME_parameters, and NAME_bytes of a global. */
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT extern const size_t add_parameters[], touch_parameters[], counter_bytes;
EXPORT extern int counter;
EXPORT void add_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared, void **parameters);
EXPORT void touch_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared, void **parameters);

int counter;
const size_t counter_bytes = sizeof counter;

/* add(int *to, const int *from, int more) */
const size_t add_parameters[] = {sizeof(int *), sizeof(int *), sizeof(int), 0};
void add_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared, void **parameters) {
    (void)shared;
    int *to = *(int **)parameters[0];
    const int *from = *(int **)parameters[1];
    for (unsigned i = 0; i < grid[0] * block[0]; i++) to[i] = from[i] + *(int *)parameters[2];
    counter++;
}

/* touch({char *at; size_t offset}): writes a byte behind the address. */
typedef struct place {
    char *at;
    size_t offset;
} place;
const size_t touch_parameters[] = {sizeof(place), 0};
void touch_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared, void **parameters) {
    (void)grid, (void)block, (void)shared;
    const place *place_ = parameters[0];
    place_->at[place_->offset] = 1;
}
