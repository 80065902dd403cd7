/* Packing: both matrices are copied into panels before they are multiplied. A panel has the elements of LEFT rows, or RIGHT columns, side by side, depth
 * after depth, as FL, and 0 where the matrix ends. So the kernel that multiplies reads one stream of each, whatever the types, strides and edges are, and an
 * image becomes a matrix without being one in memory. */
#define load4_f32(place) vload4(0, place)
#define load4_f64(place) vload4(0, place)
#define load4_f16(place) vload_half4(0, (global const half *)(place))
#define load4_bf16(place) as_float4(convert_uint4(vload4(0, place)) << 16)
#define LOAD4(place) GLUE(load4_, T)(place)
#define FL4 GLUE(FL, 4)

#ifdef TILES
/* A group for each panel and CHUNK depths: the elements pass through local memory, so that reading goes along the shorter stride and writing along the
 * panel. */
void pack(global const S *from, long along, long deep, long valid, long depths, global FL *to, local FL *block,
          uint item) {
    const bool goes_deep = along > deep ? along - deep > 0 && deep >= 0 : false;
    for (uint i = item; i < CHUNK * LEFT; i += GROUP) {
        const uint d = goes_deep ? i % CHUNK : i / LEFT, place = goes_deep ? i / CHUNK : i % LEFT;
        block[d * (LEFT + 1) + place] = place < valid && d < depths ? LOAD(from + place * along + d * deep) : (FL)0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = item; i < CHUNK * LEFT; i += GROUP) to[i] = block[i / LEFT * (LEFT + 1) + i % LEFT];
}
#else
/* An item for each panel and CHUNK depths. Four by four elements are turned in registers where the matrix lies the other way. */
void pack(global const S *from, long along, long deep, long valid, long depths, const int width,
          global FL *restrict to) {
    if (valid < width) {
        for (int i = 0; i < width; i++)
            for (long d = 0; d < depths; d++)
                to[d * width + i] = i < valid ? LOAD(from + i * along + d * deep) : (FL)0;
    } else if (along == 1) {
        for (long d = 0; d < depths; d++)
            for (int i = 0; i < width; i += 4) vstore4(LOAD4(from + d * deep + i), 0, to + d * width + i);
    } else if (deep == 1) {
        long d = 0;
        for (; d + 4 <= depths; d += 4) {
            for (int i = 0; i < width; i += 4) {
                global const S *corner = from + i * along + d;
                const FL4 p = LOAD4(corner), q = LOAD4(corner + along);
                const FL4 r = LOAD4(corner + 2 * along), s = LOAD4(corner + 3 * along);
                global FL *turned = to + d * width + i;
                vstore4((FL4)(p.x, q.x, r.x, s.x), 0, turned);
                vstore4((FL4)(p.y, q.y, r.y, s.y), 0, turned + width);
                vstore4((FL4)(p.z, q.z, r.z, s.z), 0, turned + 2 * width);
                vstore4((FL4)(p.w, q.w, r.w, s.w), 0, turned + 3 * width);
            }
        }
        for (; d < depths; d++)
            for (int i = 0; i < width; i++) to[d * width + i] = LOAD(from + i * along + d);
    } else {
        for (long d = 0; d < depths; d++)
            for (int i = 0; i < width; i++) to[d * width + i] = LOAD(from + i * along + d * deep);
    }
}
#endif

#ifdef CONV2D
/* Weights of a filter: channel after channel, row after row. */
typedef struct tap {
    long channel, y, x;
} tap;

tap tap_of(long depth, const window *seen) {
    tap at;
    at.x = depth % seen->kernel_[1];
    at.y = depth / seen->kernel_[1] % seen->kernel_[0];
    at.channel = depth / seen->kernel_[1] / seen->kernel_[0];
    return at;
}

tap tap_after(tap at, const window *seen) {
    if (++at.x < seen->kernel_[1]) return at;
    at.x = 0;
    if (++at.y < seen->kernel_[0]) return at;
    at.y = 0;
    at.channel++;
    return at;
}

/* Weights that one stride does not lead through. */
void pack_weights(global const S *from, long along, const image *picture, long valid, long depth, long depths,
                  int first, int step, global FL *to) {
    tap at = tap_of(depth, &picture->seen);
    for (long d = 0; d < depths; d++, at = tap_after(at, &picture->seen)) {
        const long place = at.channel * picture->strides[1][1] + at.y * picture->strides[1][2] + at.x * picture->strides[1][3];
        for (int i = first; i < LEFT; i += step) to[d * LEFT + i] = i < valid ? LOAD(from + place + i * along) : (FL)0;
    }
}

#ifdef TILES
/* An item for each column. */
void pack_image(global const S *from, const image *picture, long column, long valid, long depth, long depths,
                global FL *to, uint item) {
    const window *seen = &picture->seen;
    const position at = position_of(column + item, picture);
    const long top = at.y * seen->stride[0] - seen->padding[0], left = at.x * seen->stride[1] - seen->padding[1];
    from += at.number * picture->strides[2][0];
    tap under = tap_of(depth, seen);
    for (long d = 0; d < depths; d++, under = tap_after(under, seen)) {
        const long row = top + under.y * seen->dilation[0], place = left + under.x * seen->dilation[1];
        const bool is_inside = item < valid && row >= 0 && row < seen->height && place >= 0 && place < seen->width;
        to[d * RIGHT + item] = is_inside ? LOAD(from + under.channel * picture->strides[2][1] +
                                                row * picture->strides[2][2] + place * picture->strides[2][3])
                                         : (FL)0;
    }
}
#else
/* All columns of a panel, a vector of them at a time, and of these one weight of the window after the other, through all channels: which lanes see a place
 * inside of the image is the same in each channel. The places that neighbouring lanes see follow each other, but for a jump where the result's next row,
 * or image, begins: so two vectors have them all, and one where there is no jump, as when an image keeps its width. Lanes that see nothing read
 * what lies there, so the elements between the panel's first image and its last one have to be within reach. */
#define WIDE__(name, width) name##width
#define WIDE_(name, width) WIDE__(name, width)
#define WIDE(name) WIDE_(name, WIDTH)
#define load_wide_f32(place) WIDE(vload)(0, place)
#define load_wide_f64(place) WIDE(vload)(0, place)
#define load_wide_f16(place) WIDE(vload_half)(0, (global const half *)(place))
#define load_wide_bf16(place) WIDE(as_float)(WIDE(convert_uint)(WIDE(vload)(0, place)) << 16)
#define LOAD_WIDE(place) GLUE(load_wide_, T)(place)
/* A condition on elements is of integers as long as they are. */
typedef WIDE(int) mask_float;
typedef WIDE(long) mask_double;
#define as_mask_float(condition) WIDE(convert_int)(condition)
#define as_mask_double(condition) (condition)
#define AS_MASK(condition) GLUE(as_mask_, FL)(condition)

/* The columns of a vector: what the first weight of the window sees, where it lies in the plane of a channel, and how the places follow each other. */
typedef struct columns {
    long numbers[WIDTH], tops[WIDTH], lefts[WIDTH], places[WIDTH];
    long jump, split; /* from lane `split` on, places are `jump` further than they would be */
    long last;        /* place in the panel's last image */
    bool has_one_jump;
} columns;

/* Beyond `valid` columns there are only some that see nothing. */
static position look(position at, const image *picture, long valid, columns *out_seen) {
    const window *seen = &picture->seen;
    const long down = picture->strides[2][2], across = picture->strides[2][3];
    long origin = 0;
    for (int i = 0; i < WIDTH; i++) {
        const bool is_there = i < valid;
        out_seen->numbers[i] = i;
        if (is_there) origin = at.number * picture->strides[2][0];
        out_seen->tops[i] = is_there ? at.y * seen->stride[0] - seen->padding[0] : -seen->height * seen->dilation[0] * seen->kernel_[0];
        out_seen->lefts[i] = at.x * seen->stride[1] - seen->padding[1];
        out_seen->places[i] = is_there || i == 0 ? origin + out_seen->tops[i] * down + out_seen->lefts[i] * across
                                                 : out_seen->places[i - 1] + 1;
        at = position_after(at, picture);
    }
    out_seen->last = origin + (seen->height - 1) * down + (seen->width - 1) * across;
    out_seen->split = WIDTH;
    out_seen->jump = 0;
    out_seen->has_one_jump = valid > 0 && across == 1 && down >= 0 && picture->strides[2][0] >= 0;
    for (int i = 1; i < WIDTH; i++) {
        const long jump = out_seen->places[i] - out_seen->places[0] - i;
        if (jump == out_seen->jump) continue;
        if (out_seen->split < WIDTH) out_seen->has_one_jump = false;
        out_seen->split = i;
        out_seen->jump = jump;
    }
    return at;
}

/* What one weight sees in all channels from depth `d` on. */
static void pack_weight(global const S *from, const image *picture, const columns *at, long y, long x, long d, long depths, long taps,
                        PANEL FL *to) {
    const window *seen = &picture->seen;
    const long channel = picture->strides[2][1], shift = y * picture->strides[2][2] + x * picture->strides[2][3];
    const WIDE(long) rows = WIDE(vload)(0, at->tops) + y, places = WIDE(vload)(0, at->lefts) + x;
    const WIDE(long) inside = (rows >= 0) & (rows < seen->height) & (places >= 0) & (places < seen->width);
    const long first = at->places[0] + shift, other = first + at->jump;
    if (at->has_one_jump && min(first, other) >= 0 && max(first, other) + WIDTH - 1 <= at->last) {
        const GLUE(mask_, FL) is_inside = AS_MASK(inside), is_before = AS_MASK(WIDE(vload)(0, at->numbers) < at->split);
        for (; d < depths; d += taps, from += channel) {
            GLUE(FL, WIDTH) value = LOAD_WIDE(from + first);
            if (at->split < WIDTH) value = is_before ? value : LOAD_WIDE(from + other);
            WIDE(vstore)(is_inside ? value : 0, 0, to + d * RIGHT);
        }
        return;
    }
    long lanes[WIDTH];
    WIDE(vstore)(inside, 0, lanes);
    for (; d < depths; d += taps, from += channel) {
        for (int i = 0; i < WIDTH; i++) {
            /* What is read in vain is the first element of the plane. */
            const FL value = LOAD(from + (lanes[i] != 0 ? at->places[i] + shift : 0));
            to[d * RIGHT + i] = lanes[i] != 0 ? value : (FL)0;
        }
    }
}

void pack_image(global const S *from, const image *picture, long column, long valid, long depth, long depths,
                PANEL FL *to) {
    const window *seen = &picture->seen;
    const long taps = seen->kernel_[0] * seen->kernel_[1];
    position next = position_of(column, picture);
    for (int begin = 0; begin < RIGHT; begin += WIDTH, to += WIDTH) {
        columns at;
        next = look(next, picture, valid - begin, &at);
        tap under = tap_of(depth, seen);
        for (long d = 0; d < min(taps, depths); d++, under = tap_after(under, seen))
            pack_weight(from + under.channel * picture->strides[2][1], picture, &at, under.y * seen->dilation[0],
                        under.x * seen->dilation[1], d, depths, taps, to);
    }
}
#endif
#endif

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(OPERANDS, global FL *scratch, const slab part) {
#ifdef TILES
    local FL block[CHUNK * (LEFT + 1)];
    const uint item = get_local_id(0);
    const long number = get_group_id(0);
#else
    const long number = get_global_id(0);
#ifdef FUSED
    if (number >= part.packed_left) return;
    const bool is_left = true;
#else
    if (number >= part.packed_left + part.right_panels) return;
#endif
#endif
#ifndef FUSED
    const bool is_left = number < part.packed_left;
#endif
    const long panel = is_left ? number : number - part.packed_left, panels = is_left ? part.left_panels : part.right_panels;
    const long chunks = (part.padded + CHUNK - 1) / CHUNK, begin = get_global_id(1) % chunks * CHUNK;
    const long matrix = get_global_id(1) / chunks, depth = part.depth + begin;
    const long depths = min((long)CHUNK, part.depths - begin);
    const long width = is_left ? LEFT : RIGHT;
    const long first = panel * width, valid = min(width, (is_left ? part.rows : part.columns) - first);
    global FL *to = scratch + (is_left ? 0 : part.right_at) + (matrix * panels + panel) * part.padded * width + begin * width;
    long places[3] = {0, 0, 0};
    PLACES(3, batch, part.batch + matrix, places)
    global const S *left = (global const S *)(b1 + o1) + places[1] + (part.row + first) * all.strides[1][0];
    global const S *right = (global const S *)(b2 + o2) + places[2];
#ifdef CONV2D
#ifndef FUSED
    if (!is_left) {
#ifdef TILES
        pack_image(right, &picture, part.column + first, valid, depth, depths, to, item);
        for (long d = depths; d < CHUNK; d++) to[d * RIGHT + item] = 0;
#else
        pack_image(right, &picture, part.column + first, valid, depth, depths, to);
#endif
        return;
    }
#endif
    if (!picture.is_flat) {
#ifdef TILES
        pack_weights(left, all.strides[1][0], &picture, valid, depth, depths, item, GROUP, to);
        for (long d = depths; d < CHUNK; d++) to[d * LEFT + item] = 0;
#else
        pack_weights(left, all.strides[1][0], &picture, valid, depth, depths, 0, 1, to);
#endif
        return;
    }
#endif
    global const S *from = is_left ? left + depth * all.strides[1][1]
                                   : right + depth * all.strides[2][0] + (part.column + first) * all.strides[2][1];
    const long along = all.strides[is_left ? 1 : 2][is_left ? 0 : 1], deep = all.strides[is_left ? 1 : 2][is_left ? 1 : 0];
#ifdef TILES
    pack(from, along, deep, valid, depths, to, block, item);
#else
    if (is_left) pack(from, along, deep, valid, depths, LEFT, to);
    else pack(from, along, deep, valid, depths, RIGHT, to);
#endif
}
