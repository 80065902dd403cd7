/* What the kernels of matrix products and convolutions have in common. Both are products of a left matrix, m by k, and a right one, k by n: of a
 * convolution the left one has the weights of a filter in each row, and the right one in each column what the window sees at one place of the result. */

/* Strides along rows and columns of the result, the left matrix, the right one and the bias. */
typedef struct matrices {
    long strides[4][2];
} matrices;

/* A part of a product that one launch computes. Scratch memory holds the panels of the left matrix, those of the right one, and sums. */
typedef struct slab {
    long batch, row, column, depth; /* where it begins */
    long rows, columns, depths;     /* how many from there on */
    long padded;                    /* depths in a panel: more where kernels take several at a time */
    long left_panels, right_panels;
    long packed_left;               /* left_panels, or 0 where they are in place */
    long right_at, sums_at;         /* in the scratch memory, in elements; the left panels are at 0 */
    long is_first, is_last;         /* of the slabs that add up to one result */
} slab;

#ifdef CONV2D
/* The result's height and width, and strides of the result, the weights and the input. */
typedef struct image {
    window seen;
    long height, width, is_flat; /* is_flat: one stride leads through all weights of a filter */
    long strides[3][4];
} image;
#define SHAPES const matrices all, const image picture
#else
#define SHAPES const matrices all
#endif

/* FUSED: the right panels of a convolution are packed by who multiplies them, into local memory. */
#ifdef FUSED
#define PANEL local
#else
#define PANEL global
#endif

#define OPERANDS                                                                                        \
    global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, global uchar *b3,  \
        long o3, const walk batch, SHAPES, long has_bias

/* One is chosen when the kernel is compiled: functions such as tanh take compilers long. */
#if ACTIVATION == 1
#define ACTIVATE(x) relu_of(x)
#elif ACTIVATION == 2
#define ACTIVATE(x) sigmoid_of(FL, x)
#elif ACTIVATION == 3
#define ACTIVATE(x) tanh(x)
#else
#define ACTIVATE(x) (x)
#endif

/* a * b + c in the way that is fast. Compilers for processors do not say so by FP_FAST_FMAF, but name the instruction. */
#if defined(FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__)
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) mad(a, b, c)
#endif

#ifdef CONV2D
/* A place of the result, which moves on along the columns of the right matrix. */
typedef struct position {
    long number, y, x;
} position;

position position_of(long column, const image *picture) {
    position at;
    at.x = column % picture->width;
    at.y = column / picture->width % picture->height;
    at.number = column / picture->width / picture->height;
    return at;
}

position position_after(position at, const image *picture) {
    if (++at.x < picture->width) return at;
    at.x = 0;
    if (++at.y < picture->height) return at;
    at.y = 0;
    at.number++;
    return at;
}

#define POSITION_PLACE(at, n) \
    ((at).number * (n)[0] + (at).y * (n)[2] + (at).x * (n)[3])
#endif
