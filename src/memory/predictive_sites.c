/* Learning the sizes of a site with bounded memory.
 *
 * Sizes are counted exactly as long as there are few different ones, which is the rule: lengths of a batch, images of
 * a few resolutions. When there is no room for one more, two neighbours are taken together under the larger one, so that a
 * quantile may come out a little high and never low. When there were many uses all counts are halved, so that what was long ago
 * matters less. */
#include "memory/predictive_sites.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

#define MOST_SITES 1024
#define MOST_USES ((uint64_t)1 << 16)

static size_t hash(const char *text, unsigned magnitude) {
    uint64_t value = 14695981039346656037u ^ magnitude;
    for (; text != NULL && *text != '\0'; text++) value = (value ^ (unsigned char)*text) * 1099511628211u;
    return (size_t)((value ^ value >> 32) % PREDICTIVE_SITE_CHAINS);
}

static bool is_site_of(const tarn_padding_site *site, const char *tag, unsigned magnitude) {
    if (site->magnitude != magnitude || (site->name == NULL) != (tag == NULL)) return false;
    return tag == NULL || strcmp(site->name, tag) == 0;
}

tarn_padding_site *predictive_site_find(predictive_sites *sites, const char *tag, unsigned magnitude) {
    tarn_padding_site **chain = &sites->chains[hash(tag, magnitude)];
    for (tarn_padding_site *site = *chain; site != NULL; site = site->next)
        if (is_site_of(site, tag, magnitude)) return site;
    if (sites->count >= MOST_SITES) return &sites->others;
    tarn_padding_site *site = base_allocate(1, sizeof *site);
    char *name = site != NULL && tag != NULL ? base_duplicate(tag) : NULL;
    if (site == NULL || (name == NULL && tag != NULL)) {
        base_free(site);
        return &sites->others;
    }
    site->name = name;
    site->magnitude = magnitude;
    site->next = *chain;
    *chain = site;
    sites->count++;
    return site;
}

void predictive_sites_end(predictive_sites *sites) {
    for (size_t i = 0; i < PREDICTIVE_SITE_CHAINS; i++) {
        while (sites->chains[i] != NULL) {
            tarn_padding_site *site = sites->chains[i];
            sites->chains[i] = site->next;
            base_free(site->name);
            base_free(site);
        }
    }
}

/* The first entry that is not smaller than `bytes`. */
static size_t place_of(const tarn_padding_site *site, size_t bytes) {
    size_t low = 0, high = site->size_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (site->sizes[middle].largest < bytes) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void remove_size(tarn_padding_site *site, size_t place) {
    site->size_count--;
    memmove(&site->sizes[place], &site->sizes[place + 1], (site->size_count - place) * sizeof site->sizes[0]);
}

/* Takes those two neighbours together that this makes the least difference for: uses times what they are rounded up by. */
static void merge_cheapest(tarn_padding_site *site) {
    size_t best = 0;
    double least = 0;
    for (size_t i = 0; i + 1 < site->size_count; i++) {
        double cost = (double)site->sizes[i].uses * (double)(site->sizes[i + 1].largest - site->sizes[i].largest);
        if (i > 0 && cost >= least) continue;
        best = i;
        least = cost;
    }
    site->sizes[best + 1].uses += site->sizes[best].uses;
    remove_size(site, best);
}

static void halve(tarn_padding_site *site) {
    site->uses = 0;
    for (size_t i = site->size_count; i-- > 0;) {
        site->sizes[i].uses /= 2;
        site->uses += site->sizes[i].uses;
        if (site->sizes[i].uses == 0) remove_size(site, i);
    }
}

void predictive_site_record(tarn_padding_site *site, size_t bytes) {
    site->recent[site->recorded++ % TARN_PADDING_RECENT] = bytes;
    size_t place = place_of(site, bytes);
    if (place == site->size_count || site->sizes[place].largest != bytes) {
        if (site->size_count == PREDICTIVE_SIZES) {
            merge_cheapest(site);
            place = place_of(site, bytes);
        }
        memmove(&site->sizes[place + 1], &site->sizes[place], (site->size_count - place) * sizeof site->sizes[0]);
        site->sizes[place] = (predictive_size){.largest = bytes};
        site->size_count++;
    }
    site->sizes[place].uses++;
    site->uses++;
    if (site->uses >= MOST_USES) halve(site);
}

uint64_t tarn_padding_site_uses(const tarn_padding_site *site) { return site != NULL ? site->uses : 0; }

size_t tarn_padding_site_recent_largest(const tarn_padding_site *site) {
    size_t largest = 0;
    for (size_t i = 0; site != NULL && i < TARN_PADDING_RECENT && i < site->recorded; i++)
        if (site->recent[i] > largest) largest = site->recent[i];
    return largest;
}

size_t tarn_padding_site_quantile(const tarn_padding_site *site, double fraction) {
    if (site == NULL || site->size_count == 0) return 0;
    uint64_t uses = site->sizes[0].uses;
    size_t place = 0;
    while (place + 1 < site->size_count && (double)uses < fraction * (double)site->uses) {
        uses += site->sizes[++place].uses;
    }
    return site->sizes[place].largest;
}

double tarn_padding_site_fraction_below(const tarn_padding_site *site, size_t bytes) {
    if (site == NULL || site->uses == 0) return 0;
    uint64_t uses = 0;
    for (size_t i = 0; i < site->size_count && site->sizes[i].largest < bytes; i++) uses += site->sizes[i].uses;
    return (double)uses / (double)site->uses;
}
