/* What all operations that are no programs begin with: elements of type T under short names, walks over elements by their strides, and windows
 * over images. FL is the type in which a float is computed. */
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
#define V GLUE(v_, T)
#define S GLUE(s_, T)
#define LOAD(place) GLUE(load_, T)(place)
#define STORE(value, place) GLUE(store_, T)(value, place)
#define RANK 8

/* Sizes along dimensions, and the strides of up to four operands along them. */
typedef struct walk {
    long dims[RANK];
    long strides[4][RANK];
} walk;

/* Ends where nothing is left of the number, and divides only where it is not below the dimension. */
#define PLACES(n, w, number, places)                                              \
    {                                                                             \
        ulong rest_ = (ulong)(number);                                            \
        for (int d_ = RANK - 1; d_ >= 0 && rest_ > 0; d_--) {                     \
            const ulong dim_ = (ulong)w.dims[d_], over_ = rest_ < dim_ ? 0 : rest_ / dim_; \
            const long along_ = (long)(rest_ - over_ * dim_);                     \
            rest_ = over_;                                                        \
            for (int i_ = 0; i_ < n; i_++) places[i_] += along_ * w.strides[i_][d_]; \
        }                                                                         \
    }

/* What windows over an image need. */
typedef struct window {
    long height, width, kernel_[2], stride[2], padding[2], dilation[2];
} window;
