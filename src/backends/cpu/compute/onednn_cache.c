/* The cache of primitives: a list, the last used one first, of which the last ones are dropped. One that oneDNN refuses is remembered too. */
#include "backends/cpu/compute/onednn_cache.h"

#include <pthread.h>
#include <string.h>

#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/scratch.h"
#include "base/checked.h"
#include "base/memory.h"

#define MOST_PRIMITIVES 128

typedef struct entry {
    onednn_primitive primitive; /* the first member: the address of one is that of the other */
    onednn_key key;
    uint64_t hash;
    unsigned users; /* protected by lock, as is all that follows */
    bool is_listed; /* else freed by its last user */
    struct entry *next;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *first;      /* protected by lock */
static size_t list_count; /* likewise */

static uint64_t hash_of(const onednn_key *key) {
    uint64_t hash = 0xcbf29ce484222325u;
    const unsigned char *bytes = (const unsigned char *)key;
    for (size_t i = 0; i < sizeof *key; i += sizeof(uint32_t)) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

static void destroy(const onednn_library *library, entry *old) {
    if (old == NULL) return;
    for (int i = 0; i < ONEDNN_OPERANDS; i++)
        if (old->primitive.reorders[i] != NULL) library->dnnl_primitive_destroy(old->primitive.reorders[i]);
    if (old->primitive.primitive != NULL) library->dnnl_primitive_destroy(old->primitive.primitive);
    base_free(old);
}

/* Makes a primitive of what has been described. */
static dnnl_primitive_t compile(const onednn_library *library, dnnl_primitive_desc_t description) {
    dnnl_primitive_t primitive = NULL;
    if (library->dnnl_primitive_create(&primitive, description) != dnnl_success) primitive = NULL;
    return primitive;
}

/* The reorder that brings an operand from one order into another. */
static bool make_reorder(const onednn_library *library, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                         const_dnnl_primitive_attr_t attributes, dnnl_primitive_t *out_reorder) {
    dnnl_primitive_desc_t description;
    if (library->dnnl_reorder_primitive_desc_create(&description, from, library->engine, to, library->engine,
                                                    attributes) != dnnl_success)
        return false;
    *out_reorder = compile(library, description);
    library->dnnl_primitive_desc_destroy(description);
    return *out_reorder != NULL;
}

/* Gives out a place in the memory that the primitive is run in. */
static size_t place(onednn_primitive *made, size_t size) {
    size_t offset = made->size;
    made->size = round_up(offset + size, CPU_SCRATCH_ALIGNMENT);
    return offset;
}

/* Whether oneDNN computes by code for this processor. */
static bool is_fast(const onednn_library *library, const_dnnl_primitive_desc_t description) {
    const char *name = NULL;
    return library->dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, (void *)&name) ==
               dnnl_success &&
           name != NULL && strstr(name, "ref") == NULL;
}

static bool take_description(const onednn_library *library, const_dnnl_primitive_desc_t description,
                             onednn_primitive *made) {
    static const dnnl_query_t queries[] = {dnnl_query_dst_md, dnnl_query_src_md, dnnl_query_weights_md};
    if (!is_fast(library, description)) return false;
    for (int i = 0; i < ONEDNN_BIAS; i++) {
        const dnnl_memory_desc_t *wanted = library->dnnl_primitive_desc_query_md(description, queries[i], 0);
        if (wanted == NULL) return false;
        made->wanted[i] = *wanted;
        if (library->dnnl_memory_desc_equal(&made->given[i], wanted)) continue;
        const dnnl_memory_desc_t *from = i == ONEDNN_OUT ? wanted : &made->given[i];
        const dnnl_memory_desc_t *to = i == ONEDNN_OUT ? &made->given[i] : wanted;
        if (!make_reorder(library, from, to, NULL, &made->reorders[i])) return false;
        made->offsets[i] = place(made, library->dnnl_memory_desc_get_size(wanted));
    }
    made->wanted[ONEDNN_BIAS] = made->given[ONEDNN_BIAS];
    const dnnl_memory_desc_t *scratchpad =
        library->dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    if (scratchpad != NULL) {
        made->has_scratchpad = true;
        made->scratchpad = *scratchpad;
        made->scratchpad_offset = place(made, library->dnnl_memory_desc_get_size(scratchpad));
    }
    return true;
}

static bool append_activation(const onednn_library *library, tarn_operation activation,
                              dnnl_primitive_attr_t attributes) {
    dnnl_post_ops_t steps;
    if (library->dnnl_post_ops_create(&steps) != dnnl_success) return false;
    dnnl_alg_kind_t kind = activation == TARN_OPERATION_TANH ? dnnl_eltwise_tanh : dnnl_eltwise_logistic;
    bool is_set = library->dnnl_post_ops_append_eltwise(steps, 1, kind, 0, 0) == dnnl_success &&
                  library->dnnl_primitive_attr_set_post_ops(attributes, steps) == dnnl_success;
    library->dnnl_post_ops_destroy(steps);
    return is_set;
}

/* Memory for intermediate results is ours, so that threads share a primitive. */
static dnnl_primitive_attr_t make_attributes(const onednn_library *library, tarn_operation activation) {
    dnnl_primitive_attr_t attributes;
    if (library->dnnl_primitive_attr_create(&attributes) != dnnl_success) return NULL;
    if (library->dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) == dnnl_success &&
        (activation == TARN_OPERATION_COPY || append_activation(library, activation, attributes)))
        return attributes;
    library->dnnl_primitive_attr_destroy(attributes);
    return NULL;
}

/* Leaves `made->primitive` NULL where oneDNN refuses. */
static void make(const onednn_library *library, const onednn_key *key, const onednn_description *described,
                 onednn_primitive *made) {
    dnnl_primitive_attr_t attributes = make_attributes(library, key->activation);
    if (attributes == NULL) return;
    dnnl_primitive_desc_t description;
    if (library->dnnl_primitive_desc_create(&description, &described->operation, attributes, library->engine, NULL) ==
        dnnl_success) {
        memcpy(made->given, described->given, sizeof made->given);
        if (take_description(library, description, made)) made->primitive = compile(library, description);
        library->dnnl_primitive_desc_destroy(description);
    }
    library->dnnl_primitive_attr_destroy(attributes);
}

/* Must be called with the lock held: the entry, counted as used and first in the list; NULL. */
static entry *find(const onednn_key *key, uint64_t hash) {
    for (entry **link = &first; *link != NULL; link = &(*link)->next) {
        entry *found = *link;
        if (found->hash != hash || memcmp(&found->key, key, sizeof *key) != 0) continue;
        *link = found->next;
        found->next = first;
        first = found;
        found->users++;
        return found;
    }
    return NULL;
}

/* Must be called with the lock held: takes the last entry out of the list, and returns it where nobody uses it. */
static entry *drop_last(void) {
    entry **link = &first;
    while ((*link)->next != NULL) link = &(*link)->next;
    entry *last = *link;
    *link = NULL;
    last->is_listed = false;
    list_count--;
    return last->users == 0 ? last : NULL;
}

const onednn_primitive *onednn_cache_get(const onednn_library *library, const onednn_key *key,
                                         bool (*describe)(const onednn_library *, const onednn_key *,
                                                          onednn_description *)) {
    uint64_t hash = hash_of(key);
    pthread_mutex_lock(&lock);
    entry *found = find(key, hash);
    pthread_mutex_unlock(&lock);
    if (found != NULL) return &found->primitive;
    entry *made = base_allocate(1, sizeof *made);
    if (made == NULL) return NULL;
    made->key = *key;
    made->hash = hash;
    made->users = 1;
    onednn_description description;
    memset(&description, 0, sizeof description);
    /* Compiling takes long: no lock is held. Another thread may have been quicker. */
    if (describe(library, key, &description)) make(library, key, &description, &made->primitive);
    entry *unused = NULL;
    pthread_mutex_lock(&lock);
    found = find(key, hash);
    if (found == NULL) {
        made->is_listed = true;
        made->next = first;
        first = made;
        if (++list_count > MOST_PRIMITIVES) unused = drop_last();
    }
    pthread_mutex_unlock(&lock);
    destroy(library, unused);
    if (found == NULL) return &made->primitive;
    destroy(library, made);
    return &found->primitive;
}

void onednn_cache_put(const onednn_library *library, const onednn_primitive *primitive) {
    entry *used = (entry *)primitive;
    pthread_mutex_lock(&lock);
    bool is_last = --used->users == 0 && !used->is_listed;
    pthread_mutex_unlock(&lock);
    if (is_last) destroy(library, used);
}

void cpu_onednn_trim(void) {
    pthread_mutex_lock(&lock);
    entry *unused = NULL;
    for (entry **link = &first; *link != NULL;) {
        entry *candidate = *link;
        if (candidate->users > 0) {
            link = &candidate->next;
            continue;
        }
        *link = candidate->next;
        list_count--;
        candidate->next = unused;
        unused = candidate;
    }
    pthread_mutex_unlock(&lock);
    if (unused == NULL) return;
    const onednn_library *library = onednn_library_get();
    while (unused != NULL) {
        entry *next = unused->next;
        destroy(library, unused);
        unused = next;
    }
}
