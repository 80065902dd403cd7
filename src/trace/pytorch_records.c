/* The records of pytorch_records.h. A dict that looks like a record and cannot be one is none, and the first such time is
 * remembered as a complaint: it matters only if the snapshot turns out to need it. */
#include "pytorch_records.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/status.h"
#include "pytorch_text.h"

#include <tarn/allocator.h>

static const uint64_t device_limit = 65535;

/* Returns false, for callers that do the same. */
static TARN_PRINTF(2, 3) bool complain(pytorch_reader *r, const char *format, ...) {
    if (r->complaint[0] != '\0') return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->complaint, sizeof r->complaint, format, arguments);
    va_end(arguments);
    return false;
}

/* A number of 64 bits; addresses were written as signed ones by old versions. A field that is missing leaves it. */
static bool take_number(pytorch_reader *r, const pickle_value *value, const char *what, bool may_be_negative,
                        uint64_t *out_number) {
    if (value == NULL) return true;
    if (value->type == PICKLE_UNSIGNED) *out_number = value->is.unsigned_integer;
    else if (value->type == PICKLE_INTEGER && (value->is.integer >= 0 || may_be_negative))
        *out_number = (uint64_t)value->is.integer;
    else if (value->type == PICKLE_INTEGER) return complain(r, "%s is %lld", what, (long long)value->is.integer);
    else return complain(r, "%s is %s, and should be a number of 64 bits", what, pickle_type_name(*value));
    return true;
}

static bool take_device(pytorch_reader *r, const pickle_value *value, uint16_t *out_device) {
    uint64_t device = 0;
    if (!take_number(r, value, "a device", false, &device)) return false;
    if (device >= device_limit) return complain(r, "device %llu", (unsigned long long)device);
    *out_device = (uint16_t)device;
    return true;
}

/* What an entry without a time carries until its neighbours give it one. */
static const int64_t no_time = INT64_MIN;

/* Microseconds of the file as nanoseconds; what lies beyond half of what fits is moved there, so that no difference of two times
 * overflows. */
static bool take_time(pytorch_reader *r, const pickle_value *value, int64_t *out_time_ns) {
    const int64_t latest = INT64_MAX / 2;
    int64_t time;
    if (value == NULL) return true;
    if (value->type == PICKLE_FLOAT && value->is.real >= -9e15 && value->is.real <= 9e15) {
        time = (int64_t)(value->is.real * 1e3);
    } else {
        uint64_t microseconds = 0;
        if (!take_number(r, value, "a time", true, &microseconds)) return false;
        if (__builtin_mul_overflow((int64_t)microseconds, (int64_t)1000, &time))
            time = (int64_t)microseconds < 0 ? -latest : latest;
    }
    *out_time_ns = time < -latest ? -latest : time > latest ? latest : time;
    return true;
}

typedef struct named_action {
    const char *name;
    history_action action;
} named_action;

static bool take_action(pytorch_reader *r, const pickle_value *value, history_entry *entry) {
    static const named_action actions[] = {
        {"alloc", HISTORY_ALLOC},
        {"free_requested", HISTORY_FREE_REQUESTED},
        {"free_completed", HISTORY_FREE_COMPLETED},
        {"segment_alloc", HISTORY_SEGMENT_ALLOC},
        {"segment_free", HISTORY_SEGMENT_FREE},
        {"segment_map", HISTORY_SEGMENT_ALLOC},
        {"segment_unmap", HISTORY_SEGMENT_FREE},
        {"oom", HISTORY_OUT_OF_MEMORY},
        {"snapshot", HISTORY_MARK},
        {"annotate", HISTORY_MARK},
        {"user_defined", HISTORY_MARK},
    };
    if (value == NULL || value->type != PICKLE_TEXT) return complain(r, "the action of a history entry is not a text");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (pickle_is_text(*value, actions[i].name)) {
            entry->action = (uint8_t)actions[i].action;
            return true;
        }
    int length = value->length < 40 ? (int)value->length : 40;
    return complain(r, "the history has an unknown action \"%.*s\"", length, value->is.text);
}

static uint32_t site_of(const pickle_value *frames) {
    bool is_site = frames != NULL && frames->type != PICKLE_DICT && frames->kind == KIND_FRAME;
    return is_site ? frames->is.range.first : TARN_TRACE_NO_STRING;
}

static bool says_something(const pickle_value *value) {
    return value != NULL && value->type == PICKLE_TEXT && value->length > 0 && !pickle_is_text(*value, "N/A");
}

/* `otherwise` where no field says anything; it may be NULL. */
static tarn_status take_tag(pytorch_reader *r, const pytorch_fields *fields, const pickle_value *otherwise,
                            uint32_t *out_tag) {
    const pickle_value *tag = fields->of[FIELD_USER_METADATA];
    if (!says_something(tag)) tag = fields->of[FIELD_COMPILE_CONTEXT];
    if (!says_something(tag)) tag = otherwise;
    *out_tag = TARN_TRACE_NO_STRING;
    if (!r->keeps || tag == NULL) return TARN_OK;
    /* The pickle may name one long text again and again, and each time the whole of it would have to be looked at. */
    size_t length = tag->length < PYTORCH_TEXT_LIMIT ? tag->length : PYTORCH_TEXT_LIMIT;
    return trace_builder_string(r->builder, tag->is.text, length, out_tag);
}

static void become(pickle_value *dict, pytorch_kind kind, uint64_t number) {
    dict->kind = (uint8_t)kind;
    dict->is.range.first = (uint32_t)number;
    dict->is.range.count = 1;
}

static tarn_status take_entry(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    static const pickle_value snapshot = {.type = PICKLE_TEXT, .length = 8, .is.text = "snapshot"};
    history_entry entry = {.site = site_of(fields->of[FIELD_FRAMES]), .time_ns = no_time};
    const pickle_value *address = fields->of[FIELD_ADDR], *size = fields->of[FIELD_SIZE];
    if (!take_number(r, address, "an address", true, &entry.address) ||
        !take_number(r, size, "a size", false, &entry.size) ||
        !take_number(r, fields->of[FIELD_STREAM], "a stream", true, &entry.stream) ||
        !take_time(r, fields->of[FIELD_TIME_US], &entry.time_ns) || !take_action(r, fields->of[FIELD_ACTION], &entry))
        return TARN_OK;
    /* Of an out-of-memory entry the address is none, or in some versions the bytes that are free. */
    if (entry.action == HISTORY_OUT_OF_MEMORY || entry.action == HISTORY_MARK) entry.address = 0;
    else if (address == NULL || size == NULL) {
        complain(r, "a history entry without %s", address == NULL ? "an address" : "a size");
        return TARN_OK;
    }
    tarn_status status = take_tag(r, fields, entry.action == HISTORY_MARK ? &snapshot : NULL, &entry.tag);
    if (status != TARN_OK) return status;
    become(dict, KIND_ENTRY, r->count.entries);
    if (r->keeps) r->history->entries[r->count.entries] = entry;
    r->count.entries++;
    return TARN_OK;
}

static uint8_t state_of(const pickle_value *state) {
    if (pickle_is_text(*state, "active_allocated")) return TARN_BLOCK_IN_USE;
    if (pickle_is_text(*state, "inactive")) return TARN_BLOCK_CACHED;
    return TARN_BLOCK_PENDING; /* active_pending_free, once called active_awaiting_free */
}

/* A block's segment is not known yet; until then `stream` says whether the block has an address of its own. */
static tarn_status take_block(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    history_block found = {.stream = fields->of[FIELD_ADDRESS] != NULL};
    tarn_trace_block *block = &found.block;
    const pickle_value *history = fields->of[FIELD_HISTORY], *requested = fields->of[FIELD_REQUESTED_SIZE];
    block->site = site_of(fields->of[FIELD_FRAMES]);
    if (!take_number(r, fields->of[FIELD_ADDRESS], "a block's address", true, &block->address) ||
        !take_number(r, fields->of[FIELD_SIZE], "a block's size", false, &block->size))
        return TARN_OK;
    block->requested = block->size;
    /* The oldest versions had the requested size in the block's first history item. */
    if (requested == NULL && history != NULL && history->type == PICKLE_LIST && history->kind == KIND_REQUEST &&
        !history->is_shared)
        block->requested = history->is.unsigned_integer;
    if (!take_number(r, requested, "a block's requested size", false, &block->requested)) return TARN_OK;
    if (fields->of[FIELD_SIZE] == NULL || fields->of[FIELD_STATE] == NULL) {
        complain(r, "a block without a %s", fields->of[FIELD_SIZE] == NULL ? "size" : "state");
        return TARN_OK;
    }
    block->state = state_of(fields->of[FIELD_STATE]);
    if (block->state == TARN_BLOCK_CACHED) block->requested = 0;
    tarn_status status = take_tag(r, fields, NULL, &block->tag);
    if (status != TARN_OK) return status;
    become(dict, KIND_BLOCK, r->count.blocks);
    if (r->keeps) r->history->blocks[r->count.blocks] = found;
    r->count.blocks++;
    return TARN_OK;
}

/* Tells the blocks of a segment where they are: one without an address begins where the one before it ends. */
static bool place_blocks(pytorch_reader *r, const pytorch_segment *segment, uint64_t start, uint64_t stream) {
    uint64_t address = start;
    for (uint32_t i = 0; i < segment->block_count; i++) {
        history_block *found = &r->history->blocks[segment->first_block + i];
        if (found->stream == 0) found->block.address = address;
        if (__builtin_add_overflow(found->block.address, found->block.size, &address))
            return complain(r, "a block that ends beyond 64 bits");
        found->block.segment = start;
        found->block.device = segment->device;
        found->stream = stream;
    }
    return true;
}

static void take_segment(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    pytorch_segment segment = {0};
    const pickle_value *blocks = fields->of[FIELD_BLOCKS];
    uint64_t start = 0, stream = 0;
    if (!take_device(r, fields->of[FIELD_DEVICE], &segment.device) ||
        !take_number(r, fields->of[FIELD_ADDRESS], "a segment's address", true, &start) ||
        !take_number(r, fields->of[FIELD_STREAM], "a segment's stream", true, &stream) ||
        !take_number(r, fields->of[FIELD_TOTAL_SIZE], "a segment's size", false, &segment.size))
        return;
    bool is_empty = blocks != NULL && blocks->kind == KIND_NONE && blocks->length == 0;
    if (fields->of[FIELD_TOTAL_SIZE] == NULL) complain(r, "a segment without a total size");
    else if (blocks == NULL || blocks->type != PICKLE_LIST || blocks->is_shared ||
             (blocks->kind != KIND_BLOCK && !is_empty))
        complain(r, "a segment without a list of blocks");
    else {
        segment.first_block = blocks->is.range.first;
        segment.block_count = blocks->is.range.count;
        if (r->keeps && !place_blocks(r, &segment, start, stream)) return;
        become(dict, KIND_SEGMENT, r->count.segments);
        if (r->keeps) r->segments[r->count.segments] = segment;
        r->count.segments++;
    }
}

/* "START name" at the time when the program entered a range, "END name" when it left. */
static tarn_status take_annotation(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    history_entry entry = {.site = TARN_TRACE_NO_STRING, .tag = TARN_TRACE_NO_STRING, .action = HISTORY_DROPPED};
    const pickle_value *name = fields->of[FIELD_NAME];
    if (!take_time(r, fields->of[FIELD_TIME_US], &entry.time_ns) ||
        !take_device(r, fields->of[FIELD_DEVICE], &entry.device))
        return TARN_OK;
    if (fields->of[FIELD_TIME_US] != NULL && name != NULL && name->type == PICKLE_TEXT) entry.action = HISTORY_MARK;
    if (r->keeps && entry.action == HISTORY_MARK) {
        tarn_status status = pytorch_joined(r->builder, fields->of[FIELD_STAGE], name, &entry.tag);
        if (status != TARN_OK) return status;
    }
    become(dict, KIND_ANNOTATION, r->count.annotations);
    if (r->keeps) r->annotations[r->count.annotations] = entry;
    r->count.annotations++;
    return TARN_OK;
}

static tarn_status take_frame(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    const pickle_value *file = fields->of[FIELD_FILENAME];
    become(dict, file != NULL && pickle_is_text(*file, PYTORCH_TAG_FILE) ? KIND_TAG_FRAME : KIND_FRAME, 0);
    return r->keeps ? pytorch_frame(&r->pieces, fields, &dict->is.range.first) : TARN_OK;
}

static void take_request(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    uint64_t size = 0;
    if (!take_number(r, fields->of[FIELD_REAL_SIZE], "a block's requested size", false, &size)) return;
    dict->kind = KIND_REQUEST;
    dict->is.unsigned_integer = size;
}

static tarn_status take_settings(pytorch_reader *r, const pickle_value *items, size_t count, pickle_value *dict) {
    become(dict, KIND_SETTINGS, 0);
    if (!r->keeps) return TARN_OK;
    return pytorch_settings(&r->pieces, items, count, KIND_SETTINGS, &dict->is.range.first, &dict->is.range.count);
}

static void take_snapshot(pytorch_reader *r, const pytorch_fields *fields, pickle_value *dict) {
    static const pickle_value empty_list = {.type = PICKLE_LIST}, none = {.type = PICKLE_NONE};
    const pickle_value *traces = fields->of[FIELD_DEVICE_TRACES], *settings = fields->of[FIELD_ALLOCATOR_SETTINGS];
    const pickle_value *annotations = fields->of[FIELD_EXTERNAL_ANNOTATIONS], *peak = fields->of[FIELD_PEAK_RESERVED];
    r->parts = (pytorch_parts){.segments = *fields->of[FIELD_SEGMENTS],
                               .traces = traces != NULL ? *traces : empty_list,
                               .annotations = annotations != NULL ? *annotations : empty_list,
                               .settings = settings != NULL ? *settings : none,
                               .peak = peak != NULL ? *peak : none};
    become(dict, KIND_SNAPSHOT, ++r->snapshots);
}

/* Names that tell what a dict is; names that several have, such as "size", do not. */
static tarn_status fill_dict(pytorch_reader *r, pickle_value *dict, const pickle_value *items, size_t count) {
    pytorch_fields fields;
    if (dict->length != 0) {
        /* Picklers fill dicts of up to a thousand fields in one go. */
        if (dict->kind != KIND_NONE) complain(r, "a dict whose fields come in several parts");
        dict->kind = KIND_NONE;
        return TARN_OK;
    }
    pytorch_find_fields(&r->names, items, count, &fields);
    const pickle_value *const *of = fields.of;
    if (of[FIELD_REAL_SIZE] != NULL) take_request(r, &fields, dict);
    else if (of[FIELD_ACTION] != NULL || of[FIELD_ADDR] != NULL) return take_entry(r, &fields, dict);
    else if (of[FIELD_SEGMENTS] != NULL) take_snapshot(r, &fields, dict);
    else if (of[FIELD_BLOCKS] != NULL || of[FIELD_TOTAL_SIZE] != NULL) take_segment(r, &fields, dict);
    else if (of[FIELD_STATE] != NULL || of[FIELD_REQUESTED_SIZE] != NULL) return take_block(r, &fields, dict);
    else if (of[FIELD_STAGE] != NULL || (of[FIELD_NAME] != NULL && of[FIELD_TIME_US] != NULL))
        return take_annotation(r, &fields, dict);
    else if (of[FIELD_NAME] != NULL || of[FIELD_FILENAME] != NULL || of[FIELD_LINE] != NULL)
        return take_frame(r, &fields, dict);
    else return take_settings(r, items, count, dict);
    return TARN_OK;
}

static tarn_status take_frames(pytorch_reader *r, pickle_value *list, const pickle_value *items, size_t count) {
    if (count == 1 && items[0].kind == KIND_TAG_FRAME) return TARN_OK;
    for (size_t i = 0; i < count; i++)
        if (items[i].type != PICKLE_DICT || (items[i].kind != KIND_FRAME && items[i].kind != KIND_TAG_FRAME))
            return TARN_OK;
    become(list, KIND_FRAME, 0);
    return r->keeps ? pytorch_site(&r->pieces, items, count, r->builder, &list->is.range.first) : TARN_OK;
}

/* Puts the range of `item` behind that of `list`. A record that stands in two places would have to be in two ranges. */
static bool append(pickle_value *list, const pickle_value *item) {
    if (item->is_shared) return false;
    if (list->is.range.count == 0) list->is.range.first = item->is.range.first;
    uint64_t end = (uint64_t)list->is.range.first + list->is.range.count;
    if (item->is.range.first != end || end + item->is.range.count >= UINT32_MAX) return false;
    list->is.range.count += item->is.range.count;
    return true;
}

static void take_records(pytorch_reader *r, pickle_value *list, const pickle_value *items, size_t count) {
    uint8_t kind = list->kind;
    for (size_t i = 0; i < count && list->kind != KIND_NONE; i++)
        if (items[i].type != PICKLE_DICT || items[i].kind != kind || !append(list, &items[i])) {
            complain(r, "a list of records has %s among them that is none, or that stands in two places",
                     pickle_type_name(items[i]));
            list->kind = KIND_NONE;
        }
}

/* Gives the entries of a device its number, and those without a time the time of the one before; the first ones that of the first
 * that has one. */
static void settle_entries(pytorch_reader *r, const pickle_value *entries, uint16_t device) {
    history_entry *first = &r->history->entries[entries->is.range.first];
    uint32_t timed = 0;
    while (timed < entries->is.range.count && first[timed].time_ns == no_time) timed++;
    int64_t last_time_ns = timed < entries->is.range.count ? first[timed].time_ns : 0;
    for (uint32_t i = 0; i < entries->is.range.count; i++) {
        history_entry *entry = &first[i];
        entry->device = device;
        if (entry->time_ns < last_time_ns) entry->time_ns = last_time_ns;
        last_time_ns = entry->time_ns;
    }
}

static bool is_trace(const pickle_value *list) {
    return list->type == PICKLE_LIST && !list->is_shared &&
           (list->kind == KIND_ENTRY || (list->kind == KIND_NONE && list->length == 0));
}

static void take_traces(pytorch_reader *r, pickle_value *list, const pickle_value *items, size_t count) {
    for (size_t i = 0; i < count && list->kind != KIND_NONE; i++) {
        uint64_t device = (uint64_t)list->length + i;
        bool is_empty = items[i].kind == KIND_NONE;
        bool is_fine = is_trace(&items[i]) && (is_empty || (device < device_limit && append(list, &items[i])));
        if (!is_fine) {
            complain(r, "device_traces[%llu] is no list of history entries", (unsigned long long)device);
            list->kind = KIND_NONE;
        } else if (!is_empty && r->keeps) {
            settle_entries(r, &items[i], (uint16_t)device);
        }
    }
}

static tarn_status fill_list(pytorch_reader *r, pickle_value *list, const pickle_value *items, size_t count) {
    bool is_first = list->length == 0;
    if (is_first && items[0].type == PICKLE_DICT) {
        uint8_t kind = items[0].kind;
        if (kind == KIND_FRAME || kind == KIND_TAG_FRAME) return take_frames(r, list, items, count);
        if (kind == KIND_REQUEST && !items[0].is_shared) {
            list->kind = kind;
            list->is = items[0].is;
        }
        if (kind == KIND_ENTRY || kind == KIND_BLOCK || kind == KIND_SEGMENT || kind == KIND_ANNOTATION)
            list->kind = kind;
    } else if (is_first && is_trace(&items[0])) {
        list->kind = KIND_TRACE;
    }
    switch ((pytorch_kind)list->kind) {
    case KIND_ENTRY:
    case KIND_BLOCK:
    case KIND_SEGMENT:
    case KIND_ANNOTATION: take_records(r, list, items, count); break;
    case KIND_TRACE: take_traces(r, list, items, count); break;
    case KIND_NONE:
    case KIND_FRAME:
    case KIND_TAG_FRAME:
    case KIND_REQUEST:
    case KIND_SETTINGS:
    case KIND_SNAPSHOT: break;
    }
    return TARN_OK;
}

static tarn_status fill(pytorch_reader *r, pickle_value *container, const pickle_value *items, size_t count) {
    switch ((pickle_type)container->type) {
    case PICKLE_DICT: return fill_dict(r, container, items, count);
    case PICKLE_LIST:
    case PICKLE_TUPLE: return fill_list(r, container, items, count);
    default: return TARN_OK;
    }
}

tarn_status pytorch_fill(void *context, pickle_value *container, const pickle_value *items, size_t count) {
    pytorch_reader *r = context;
    tarn_status status = fill(r, container, items, count);
    if (status == TARN_OK && r->keeps && r->pieces.text_length + r->builder->text_length > r->most_text)
        return base_fail(TARN_CORRUPT_DATA,
                         "%s: its call sites and tags come to more than %zu bytes, which is too much for its size",
                         r->path, r->most_text);
    return status;
}
