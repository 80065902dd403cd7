/* Sites: what is learnt of the requests that have one tag. */
#ifndef MEMORY_PREDICTIVE_SITES_H
#define MEMORY_PREDICTIVE_SITES_H

#include <tarn/predictive.h>

#define PREDICTIVE_SIZES 128
#define PREDICTIVE_SITE_CHAINS 64

/* Uses of one size, or of sizes between the neighbour's and this one. */
typedef struct predictive_size {
    size_t largest; /* bytes */
    uint64_t uses;
} predictive_size;

struct tarn_padding_site {
    struct tarn_padding_site *next; /* in its chain */
    char *name;                     /* NULL: of requests without a tag */
    unsigned magnitude;
    uint64_t uses; /* the sum of those of `sizes` */
    size_t size_count;
    predictive_size sizes[PREDICTIVE_SIZES]; /* in ascending order */
    size_t recent[TARN_PADDING_RECENT];
    uint64_t recorded; /* uses that there ever were */
};

/* All sites of an allocator, whose lock protects them. */
typedef struct predictive_sites {
    tarn_padding_site *chains[PREDICTIVE_SITE_CHAINS];
    size_t count;
    tarn_padding_site others; /* of all that found no place */
} predictive_sites;

/* The site of a tag, which may be NULL, and of a magnitude that tells requests of one tag apart; made when it is new. Where 1024 sites
 * are known already, or there is no host memory for another, the one of all others. Never NULL. */
tarn_padding_site *predictive_site_find(predictive_sites *sites, const char *tag, unsigned magnitude);
void predictive_site_record(tarn_padding_site *site, size_t bytes);
void predictive_sites_end(predictive_sites *sites);

#endif
