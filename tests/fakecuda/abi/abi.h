/* What test_abi.c compares: numbers that two headers give for the same names. */
#ifndef FAKECUDA_ABI_H
#define FAKECUDA_ABI_H

#include <stddef.h>

typedef struct abi_number {
    const char *name;
    long long value;
} abi_number;

/* Both are in the order of the same list. */
extern const abi_number abi_own[], abi_vendor[];
extern const size_t abi_own_count, abi_vendor_count;

#define ABI_CONSTANT_ROW(name) {#name, (long long)(name)},
#define ABI_TYPE_ROW(type) {"size of " #type, (long long)sizeof(type)},
#define ABI_MEMBER_ROW(type, member)                                     \
    {"offset of " #type "." #member, (long long)offsetof(type, member)}, \
        {"size of " #type "." #member, (long long)sizeof(((type *)0)->member)},
#define ABI_ERROR_ROW(name, value, sentence) {"error " #name, (long long)(name)},
#define ABI_ROWS \
    ABI_CONSTANTS(ABI_CONSTANT_ROW) ABI_TYPES(ABI_TYPE_ROW) ABI_MEMBERS(ABI_MEMBER_ROW) FAKECUDA_ERRORS(ABI_ERROR_ROW)

#endif
