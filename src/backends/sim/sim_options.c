/* The arguments of a simulated device: a size, and key=value pairs, parted by commas. */
#include <inttypes.h>
#include <string.h>

#include <tarn/size.h>

#include "backends/sim/sim_internal.h"
#include "base/checked.h"

#define DEFAULT_CAPACITY ((uint64_t)64 << 30)
#define DEFAULT_GRANULE ((uint64_t)2 << 20)
#define DEFAULT_ALIGNMENT 512

#define LARGEST_CAPACITY ((uint64_t)32 << 40)
#define LARGEST_GRANULE ((uint64_t)1 << 30)
#define SMALLEST_GRANULE 4096
#define SMALLEST_ALIGNMENT 16
/* About three centuries: sums of times never wrap. */
#define LONGEST_TIME ((uint64_t)1 << 53)

/* One word between commas. */
typedef struct option_word {
    const char *text;
    size_t length;
    size_t column; /* of its first character in the arguments, from 1 */
} option_word;

static bool word_is(const option_word *word, const char *text) {
    return strlen(text) == word->length && memcmp(word->text, text, word->length) == 0;
}

static tarn_status refuse(const option_word *word, const char *expected) {
    return sim_fail(TARN_INVALID_ARGUMENT, "column %zu: \"%.*s\" is not %s", word->column, (int)word->length,
                    word->text, expected);
}

static tarn_status read_number(const option_word *word, uint64_t *out_number) {
    uint64_t number = 0;
    for (size_t i = 0; i < word->length; i++) {
        unsigned digit = (unsigned)(word->text[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            return refuse(word, "a whole number");
        }
    }
    if (word->length == 0) return refuse(word, "a whole number");
    *out_number = number;
    return TARN_OK;
}

/* A count of 1 or more. */
static tarn_status read_count(const option_word *word, uint64_t *out_count) {
    uint64_t count;
    tarn_status status = read_number(word, &count);
    if (status != TARN_OK) return status;
    if (count == 0) return refuse(word, "a number above 0");
    *out_count = count;
    return TARN_OK;
}

static tarn_status read_size(const option_word *word, uint64_t smallest, uint64_t largest, uint64_t *out_size) {
    char text[TARN_SIZE_TEXT];
    uint64_t size;
    if (word->length >= sizeof text) return refuse(word, "a size");
    memcpy(text, word->text, word->length);
    text[word->length] = '\0';
    if (tarn_size_parse(text, &size) != TARN_OK) return refuse(word, "a size such as 80GiB");
    if (size < smallest || size > largest) return refuse(word, "a size that can be simulated");
    *out_size = size;
    return TARN_OK;
}

/* A whole number with a unit: 10ms, 250us, 5ns, 1s. */
static tarn_status read_time(const option_word *text, uint64_t *out_nanoseconds) {
    static const struct {
        const char *name;
        uint64_t nanoseconds;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    option_word number = *text;
    while (number.length > 0 && (unsigned)(number.text[number.length - 1] - '0') > 9) number.length--;
    option_word unit = {.text = text->text + number.length, .length = text->length - number.length};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t count;
        if (!word_is(&unit, units[i].name) || number.length == 0) continue;
        if (read_number(&number, &count) != TARN_OK || count > LONGEST_TIME / units[i].nanoseconds) break;
        *out_nanoseconds = count * units[i].nanoseconds;
        return TARN_OK;
    }
    return refuse(text, "a time such as 10ms");
}

static tarn_status read_switch(const option_word *word, bool *out_is_on) {
    if (!word_is(word, "on") && !word_is(word, "off")) return refuse(word, "on or off");
    *out_is_on = word_is(word, "on");
    return TARN_OK;
}

static tarn_status read_call(const option_word *word, sim_call *out_call) {
    for (int call = 0; call < SIM_CALL_COUNT; call++) {
        if (!word_is(word, sim_call_names[call])) continue;
        *out_call = (sim_call)call;
        return TARN_OK;
    }
    return refuse(word, "the name of a driver call");
}

static tarn_status read_status(const option_word *word, tarn_status *out_status) {
    for (int status = TARN_OK + 1; status <= TARN_INTERNAL; status++) {
        if (!word_is(word, tarn_status_name((tarn_status)status))) continue;
        *out_status = (tarn_status)status;
        return TARN_OK;
    }
    return refuse(word, "the name of a status such as DEVICE_LOST");
}

/* N:SIZE */
static tarn_status read_shrink(const option_word *text, sim_options *options) {
    const char *colon = memchr(text->text, ':', text->length);
    if (colon == NULL) return refuse(text, "a number of calls and a size such as 100:8GiB");
    size_t length = (size_t)(colon - text->text);
    option_word calls = {.text = text->text, .length = length, .column = text->column};
    option_word size = {.text = colon + 1, .length = text->length - length - 1, .column = text->column + length + 1};
    tarn_status status = read_count(&calls, &options->shrink_after);
    return status == TARN_OK ? read_size(&size, 0, LARGEST_CAPACITY, &options->shrink_to) : status;
}

static tarn_status read_misbehaviour(const option_word *word, sim_misbehaviour *out_misbehaviour) {
    static const char *const names[] = {
        [SIM_GIVES_NULL] = "null", [SIM_GIVES_MISALIGNED] = "misaligned", [SIM_GIVES_OVERLAP] = "overlap"};
    for (int i = SIM_GIVES_NULL; i <= SIM_GIVES_OVERLAP; i++) {
        if (!word_is(word, names[i])) continue;
        *out_misbehaviour = (sim_misbehaviour)i;
        return TARN_OK;
    }
    return refuse(word, "null, misaligned or overlap");
}

typedef enum option_key {
    KEY_GRANULE,
    KEY_ALIGNMENT,
    KEY_LAG,
    KEY_ALLOC,
    KEY_FREE,
    KEY_CREATE,
    KEY_MAP,
    KEY_UNMAP,
    KEY_ALIASING,
    KEY_SEED,
    KEY_FAIL_AT,
    KEY_FAIL_EVERY,
    KEY_FAIL_COUNT,
    KEY_FAIL_FOR,
    KEY_FAIL_STATUS,
    KEY_SHRINK_AT,
    KEY_MISBEHAVE,
    KEY_COUNT
} option_key;

static const char *const key_names[KEY_COUNT] = {
    [KEY_GRANULE] = "granule",
    [KEY_ALIGNMENT] = "alignment",
    [KEY_LAG] = "lag",
    [KEY_ALLOC] = "alloc",
    [KEY_FREE] = "free",
    [KEY_CREATE] = "create",
    [KEY_MAP] = "map",
    [KEY_UNMAP] = "unmap",
    [KEY_ALIASING] = "aliasing",
    [KEY_SEED] = "seed",
    [KEY_FAIL_AT] = "fail_at",
    [KEY_FAIL_EVERY] = "fail_every",
    [KEY_FAIL_COUNT] = "fail_count",
    [KEY_FAIL_FOR] = "fail_for",
    [KEY_FAIL_STATUS] = "fail_status",
    [KEY_SHRINK_AT] = "shrink_at",
    [KEY_MISBEHAVE] = "misbehave",
};

static tarn_status read_granule(const option_word *word, uint64_t *out_granule) {
    uint64_t granule;
    tarn_status status = read_size(word, 0, LARGEST_GRANULE, &granule);
    if (status != TARN_OK) return status;
    if (granule != 0 && (!is_power_of_two(granule) || granule < SMALLEST_GRANULE)) {
        return refuse(word, "a power of two from 4KiB to 1GiB, or 0");
    }
    *out_granule = granule;
    return TARN_OK;
}

static tarn_status read_alignment(const option_word *word, uint64_t *out_alignment) {
    uint64_t alignment;
    tarn_status status = read_size(word, SMALLEST_ALIGNMENT, SMALLEST_GRANULE, &alignment);
    if (status != TARN_OK) return status;
    if (!is_power_of_two(alignment)) return refuse(word, "a power of two from 16 to 4KiB");
    *out_alignment = alignment;
    return TARN_OK;
}

static tarn_status read_value(sim_options *options, option_key key, const option_word *value) {
    switch (key) {
    case KEY_GRANULE: return read_granule(value, &options->granule);
    case KEY_ALIGNMENT: return read_alignment(value, &options->alignment);
    case KEY_LAG: return read_time(value, &options->lag);
    case KEY_ALLOC: return read_time(value, &options->latency[SIM_MEMORY_ALLOCATE]);
    case KEY_FREE: {
        tarn_status status = read_time(value, &options->latency[SIM_MEMORY_FREE]);
        options->latency[SIM_GRANULES_RELEASE] = options->latency[SIM_MEMORY_FREE];
        return status;
    }
    case KEY_CREATE: return read_time(value, &options->latency[SIM_GRANULES_CREATE]);
    case KEY_MAP: return read_time(value, &options->latency[SIM_VIRTUAL_MAP]);
    case KEY_UNMAP: return read_time(value, &options->latency[SIM_VIRTUAL_UNMAP]);
    case KEY_ALIASING: return read_switch(value, &options->aliasing);
    case KEY_SEED: options->has_seed = true; return read_number(value, &options->seed);
    case KEY_FAIL_AT: return read_count(value, &options->fail_at);
    case KEY_FAIL_EVERY: return read_count(value, &options->fail_every);
    case KEY_FAIL_COUNT: return read_count(value, &options->fail_count);
    case KEY_FAIL_FOR: return read_call(value, &options->fail_for);
    case KEY_FAIL_STATUS: return read_status(value, &options->fail_status);
    case KEY_SHRINK_AT: return read_shrink(value, options);
    case KEY_MISBEHAVE: return read_misbehaviour(value, &options->misbehaviour);
    case KEY_COUNT: break;
    }
    return refuse(value, "the value of any key");
}

/* `seen` has a bit for each key that came before. */
static tarn_status read_pair(sim_options *options, const option_word *pair, uint32_t *seen) {
    const char *equals = memchr(pair->text, '=', pair->length);
    size_t length = equals != NULL ? (size_t)(equals - pair->text) : pair->length;
    option_word name = {.text = pair->text, .length = length, .column = pair->column};
    if (equals == NULL) return refuse(&name, "a key=value pair");
    option_word value = {.text = equals + 1, .length = pair->length - length - 1, .column = pair->column + length + 1};
    for (int i = 0; i < KEY_COUNT; i++) {
        if (!word_is(&name, key_names[i])) continue;
        if ((*seen & (1u << i)) != 0) return refuse(&name, "a key that may be given twice");
        *seen |= 1u << i;
        return read_value(options, (option_key)i, &value);
    }
    return refuse(&name, "a key that the simulated device knows");
}

tarn_status sim_options_parse(const char *arguments, sim_options *out_options) {
    sim_options options = {
        .capacity = DEFAULT_CAPACITY,
        .granule = DEFAULT_GRANULE,
        .alignment = DEFAULT_ALIGNMENT,
        .aliasing = true,
        .fail_for = SIM_ANY_CALL,
        .fail_status = TARN_OUT_OF_MEMORY,
    };
    uint32_t seen = 0;
    const char *position = arguments;
    while (*arguments != '\0') {
        option_word word = {
            .text = position, .length = strcspn(position, ","), .column = (size_t)(position - arguments) + 1};
        bool is_size = position == arguments && memchr(word.text, '=', word.length) == NULL;
        tarn_status status =
            is_size ? read_size(&word, 1, LARGEST_CAPACITY, &options.capacity) : read_pair(&options, &word, &seen);
        if (status != TARN_OK) return status;
        position += word.length;
        if (*position == '\0') break;
        position++;
    }
    *out_options = options;
    return TARN_OK;
}
