/* Packs: elements that lie side by side, read and written as one. */
#ifndef CUDA_KERNELS_PACK_CUH
#define CUDA_KERNELS_PACK_CUH

#include "elements.cuh"

/* Up to 16 bytes are one access. */
template <class Element, int COUNT>
struct alignas(sizeof(Element) * COUNT < 16 ? sizeof(Element) * COUNT : 16) pack {
    Element elements[COUNT];
};

/* The bytes of one access, as words: of structures of smaller elements compilers would read each by itself. */
template <int SIZE> struct access;
template <> struct access<1> {
    typedef uint8 words;
};
template <> struct access<2> {
    typedef uint16 words;
};
template <> struct access<4> {
    typedef uint32 words;
};
template <> struct access<8> {
    typedef struct alignas(8) {
        uint32 word[2];
    } words;
};
template <> struct access<16> {
    typedef struct alignas(16) {
        uint32 word[4];
    } words;
};
template <class Element, int COUNT> struct pack_access {
    static const int size = (int)sizeof(Element) * COUNT, width = size < 16 ? size : 16, count = size / width;
    typedef typename access<width>::words words;
    struct alignas(width) all {
        words parts[count];
    };
};

template <class Element, int COUNT> DEVICE bool is_aligned(const Element *at) {
    return (uint64)at % pack_access<Element, COUNT>::width == 0;
}
template <class Element, int COUNT> DEVICE pack<Element, COUNT> read_whole(const Element *from) {
    typedef pack_access<Element, COUNT> access_of;
    typename access_of::all words;
    UNROLLED for (int i = 0; i < access_of::count; i++) words.parts[i] = ((const typename access_of::words *)from)[i];
    pack<Element, COUNT> read;
    memcpy(&read, &words, sizeof read);
    return read;
}
template <class Element, int COUNT> DEVICE void write_whole(Element *to, const pack<Element, COUNT> &written) {
    typedef pack_access<Element, COUNT> access_of;
    typename access_of::all words;
    memcpy(&words, &written, sizeof words);
    UNROLLED for (int i = 0; i < access_of::count; i++) ((typename access_of::words *)to)[i] = words.parts[i];
}

#endif
