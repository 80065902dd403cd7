/* `tarn inspect`: what is in a trace or snapshot, for people or as JSON. */
#include <argp.h>
#include <stdio.h>

#include "inspect.h"
#include "table.h"

static const char *const command = "tarn inspect";

typedef struct inspect_options {
    const char *path;
    size_t top;
    int device; /* -1: the one with the largest peak */
    bool as_json;
} inspect_options;

static const char *const action_names[TARN_TRACE_MARK + 1] = {
    "allocate", "free", "free_completed", "segment_allocate", "segment_free", "out_of_memory", "mark"};

static const char *holder_name(const tarn_trace *trace, const analysis_holder *holder, bool by_tag) {
    if (holder->name == TARN_TRACE_NO_STRING) return by_tag ? "(no tag)" : "(no call site)";
    return tarn_trace_string(trace, holder->name);
}

static json_t *holders_json(const tarn_trace *trace, const analysis_holders *holders, bool by_tag, size_t top) {
    json_t *list = json_array();
    for (size_t i = 0; i < holders->count && i < top; i++) {
        const analysis_holder *holder = &holders->holders[i];
        json_t *name =
            holder->name == TARN_TRACE_NO_STRING ? json_null() : tool_json_text(tarn_trace_string(trace, holder->name));
        json_array_append_new(list, json_pack("{s:o,s:o,s:I}", by_tag ? "tag" : "site", name, "bytes",
                                              tool_json_size(holder->bytes), "blocks", (json_int_t)holder->blocks));
    }
    return list;
}

static json_t *sizes_json(const inspect_sizes *sizes) {
    json_t *list = json_array();
    for (unsigned i = 0; i < INSPECT_SIZE_CLASSES; i++)
        if (sizes->count[i] > 0)
            json_array_append_new(
                list, json_pack("{s:o,s:o,s:o}", "from_bytes", tool_json_size(i > 0 ? (uint64_t)1 << i : 0), "count",
                                tool_json_size(sizes->count[i]), "bytes", tool_json_size(sizes->bytes[i])));
    return list;
}

static json_t *state_json(const inspect_state *state) {
    if (state->blocks == 0) return json_null();
    return json_pack("{s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "segments", (json_int_t)state->segments, "blocks",
                     (json_int_t)state->blocks, "reserved_bytes", tool_json_size(state->reserved), "active_bytes",
                     tool_json_size(state->active), "pending_bytes", tool_json_size(state->pending), "inactive_bytes",
                     tool_json_size(state->inactive), "largest_free_block_bytes", tool_json_size(state->largest_free),
                     "rounding_bytes", tool_json_size(state->rounding), "fragmentation", state->fragmentation);
}

static json_t *facts_json(const tarn_trace *trace, const inspect_facts *facts, const inspect_options *options) {
    const tarn_trace_info *info = &facts->info;
    const inspect_lifetimes *lifetimes = &facts->lifetimes;
    json_t *actions = json_object();
    for (size_t i = 0; i <= TARN_TRACE_MARK; i++)
        json_object_set_new(actions, action_names[i], tool_json_size(facts->actions[i]));
    json_t *recorded = facts->recorded_peak > 0 ? tool_json_size(facts->recorded_peak) : json_null();
    json_t *peak = json_pack("{s:o,s:I,s:I,s:o,s:o}", "live_bytes", tool_json_size(facts->peak.bytes), "event",
                             (json_int_t)facts->peak_number, "time_ns", (json_int_t)facts->peak.time_ns, "by_tag",
                             holders_json(trace, &facts->by_tag, true, options->top), "by_site",
                             holders_json(trace, &facts->by_site, false, options->top));
    json_t *life = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "count", (json_int_t)lifetimes->count, "still_alive",
                             (json_int_t)lifetimes->still_alive, "p50_ns", (json_int_t)lifetimes->p50_ns, "p90_ns",
                             (json_int_t)lifetimes->p90_ns, "p99_ns", (json_int_t)lifetimes->p99_ns, "max_ns",
                             (json_int_t)lifetimes->max_ns);
    return json_pack("{s:o,s:s,s:i,s:i,s:I,s:I,s:o,s:i,s:i,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "file",
                     tool_json_text(options->path), "format", tarn_trace_format_name(info->format), "device",
                     (int)facts->device, "devices", (int)facts->device_count, "events", (json_int_t)facts->events,
                     "initial_allocations", (json_int_t)facts->initial, "event_counts", actions, "streams",
                     (int)info->stream_count, "threads", (int)info->thread_count, "span_ns", (json_int_t)facts->span_ns,
                     "peak", peak, "recorded_peak_reserved_bytes", recorded, "sizes", sizes_json(&facts->sizes),
                     "lifetimes", life, "final_state", state_json(&facts->state), "settings",
                     tool_json_text(info->settings != NULL ? info->settings : ""));
}

static void print_heading(const char *text) { printf("\n%s\n", text); }

static void print_overview(const inspect_facts *facts, const inspect_options *options) {
    const tarn_trace_info *info = &facts->info;
    char size[TARN_SIZE_TEXT], count[TOOL_TEXT], time[TOOL_TEXT], percent[TOOL_TEXT];
    tool_print_text(options->path);
    printf("\n");
    tool_table table = {.columns = 2, .left = 0x3};
    table_add(&table, "format");
    table_add(&table, "%s", tarn_trace_format_name(info->format));
    table_add(&table, "events");
    table_add(&table, "%s in %s", tool_count(facts->events, count), tool_duration((double)facts->span_ns, time));
    for (size_t i = 0; i <= TARN_TRACE_MARK; i++) {
        if (facts->actions[i] == 0) continue;
        table_add(&table, "  %s", action_names[i]);
        table_add(&table, "%s", tool_count(facts->actions[i], count));
    }
    table_add(&table, "alive before");
    table_add(&table, "%s allocations", tool_count(facts->initial, count));
    table_add(&table, "streams, threads");
    table_add(&table, "%u, %u", info->stream_count, info->thread_count);
    table_add(&table, "peak");
    table_add(&table, "%s live at %s, event %s", tarn_size_format(facts->peak.bytes, size),
              tool_duration((double)facts->peak.time_ns, time), tool_count(facts->peak_number, count));
    if (facts->recorded_peak > 0) {
        table_add(&table, "reserved as recorded");
        table_add(&table, "%s at most, utilization %s", tarn_size_format(facts->recorded_peak, size),
                  tool_percent((double)facts->peak.bytes / (double)facts->recorded_peak, percent));
    }
    table_print(&table);
}

static void print_holders(const tarn_trace *trace, const inspect_facts *facts, const analysis_holders *holders,
                          bool by_tag, size_t top) {
    if (holders->count == 0) return;
    print_heading(by_tag ? "Who holds the memory at the peak, by tag"
                         : "Who holds the memory at the peak, by call site");
    tool_table table = {.columns = 4, .left = 0x8};
    const char *header[] = {"bytes", "share", "blocks", by_tag ? "tag" : "call site, innermost first"};
    for (size_t i = 0; i < 4; i++) table_add(&table, "%s", header[i]);
    char size[TARN_SIZE_TEXT], percent[TOOL_TEXT];
    for (size_t i = 0; i < holders->count && i < top; i++) {
        const analysis_holder *holder = &holders->holders[i];
        double share = facts->peak.bytes > 0 ? (double)holder->bytes / (double)facts->peak.bytes : 0;
        table_add(&table, "%s", tarn_size_format(holder->bytes, size));
        table_add(&table, "%s", tool_percent(share, percent));
        table_add(&table, "%zu", holder->blocks);
        table_add(&table, "%s", holder_name(trace, holder, by_tag));
    }
    table_print(&table);
    if (holders->count > top) printf("  and %zu more; --top shows them\n", holders->count - top);
}

static void print_sizes(const inspect_facts *facts) {
    print_heading("Sizes asked for");
    tool_table table = {.columns = 3};
    char size[TARN_SIZE_TEXT], count[TOOL_TEXT];
    table_add(&table, "from");
    table_add(&table, "count");
    table_add(&table, "bytes");
    for (unsigned i = 0; i < INSPECT_SIZE_CLASSES; i++) {
        if (facts->sizes.count[i] == 0) continue;
        table_add(&table, "%s", tarn_size_format(i > 0 ? (uint64_t)1 << i : 0, size));
        table_add(&table, "%s", tool_count(facts->sizes.count[i], count));
        table_add(&table, "%s", tarn_size_format(facts->sizes.bytes[i], size));
    }
    table_print(&table);
}

static void print_lifetimes(const inspect_lifetimes *lifetimes) {
    char half[TOOL_TEXT], ninety[TOOL_TEXT], most[TOOL_TEXT], longest[TOOL_TEXT], count[TOOL_TEXT];
    print_heading("Lifetimes");
    if (lifetimes->count > 0)
        printf("  %s freed: half within %s, 90 %% within %s, 99 %% within %s, all within %s\n",
               tool_count(lifetimes->count, count), tool_duration((double)lifetimes->p50_ns, half),
               tool_duration((double)lifetimes->p90_ns, ninety), tool_duration((double)lifetimes->p99_ns, most),
               tool_duration((double)lifetimes->max_ns, longest));
    printf("  %s still alive at the end\n", tool_count(lifetimes->still_alive, count));
}

static void print_state(const inspect_state *state) {
    if (state->blocks == 0) return;
    char size[TARN_SIZE_TEXT], percent[TOOL_TEXT];
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {{"reserved", state->reserved},
                {"active", state->active},
                {"waiting for streams", state->pending},
                {"inactive", state->inactive},
                {"largest free block", state->largest_free},
                {"lost to rounding", state->rounding}};
    print_heading("The recorded allocator at the end");
    printf("  %zu segments, %zu blocks\n", state->segments, state->blocks);
    tool_table table = {.columns = 3};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double share = state->reserved > 0 ? (double)rows[i].bytes / (double)state->reserved : 0;
        table_add(&table, "%s", rows[i].name);
        table_add(&table, "%s", tarn_size_format(rows[i].bytes, size));
        table_add(&table, "%s", tool_percent(share, percent));
    }
    table_print(&table);
    if (state->inactive > 0)
        printf("  fragmentation %s: inactive memory outside the largest free block\n",
               tool_percent(state->fragmentation, percent));
}

static void print_facts(const tarn_trace *trace, const inspect_facts *facts, const inspect_options *options) {
    print_overview(facts, options);
    print_holders(trace, facts, &facts->by_tag, true, options->top);
    print_holders(trace, facts, &facts->by_site, false, options->top);
    print_sizes(facts);
    print_lifetimes(&facts->lifetimes);
    print_state(&facts->state);
}

enum { OPTION_JSON = 'j', OPTION_TOP = 'n', OPTION_DEVICE = 0x100 };

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    inspect_options *options = state->input;
    switch (key) {
    case OPTION_JSON: options->as_json = true; return 0;
    case OPTION_TOP: options->top = (size_t)tool_number(state, "top", argument, 0, INT32_MAX); return 0;
    case OPTION_DEVICE: options->device = (int)tool_number(state, "trace-device", argument, 0, UINT16_MAX); return 0;
    case ARGP_KEY_ARG:
        if (options->path != NULL) argp_error(state, "one file is taken; '%s' is too many", argument);
        options->path = argument;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "no file given"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int inspect_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
        {"top", OPTION_TOP, "N", 0, "Show the N largest holders (default: 10)", 0},
        {"trace-device", OPTION_DEVICE, "N", 0,
         "Look at device N of the trace (default: the one with the largest peak)", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "FILE",
        .doc = "Says what is in a trace or snapshot: the peak and when, who holds it, sizes, lifetimes, fragmentation."
               "\vExample:\n\n  tarn inspect snapshot.pickle --top 20",
    };
    inspect_options options = {.top = 10, .device = -1};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0) return TOOL_USAGE;

    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(options.path, &trace);
    if (status != TARN_OK) return tool_fail(command, options.path, status);
    inspect_facts facts;
    int result = TOOL_DONE;
    status = inspect_facts_get(trace, options.device, &facts);
    if (status == TARN_NOT_FOUND) {
        tool_say(command, "%s: device %d has no events", options.path, options.device);
        result = TOOL_INPUT;
    } else if (status != TARN_OK) {
        result = tool_no_memory(command);
    } else if (options.as_json) {
        result = tool_print_json(command, facts_json(trace, &facts, &options));
    } else {
        if (facts.device_count > 1 && options.device < 0)
            tool_say(command, "%s: %zu devices; this is device %u, --trace-device chooses", options.path,
                     facts.device_count, facts.device);
        print_facts(trace, &facts, &options);
    }
    inspect_facts_free(&facts);
    tarn_trace_release(trace);
    return result;
}
