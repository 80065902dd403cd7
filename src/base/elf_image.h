/* Names of functions from the symbol tables of an executable or a shared object whose file lies in memory. The file is not
 * trusted: every offset is checked. Nothing is allocated and no lock is taken. */
#ifndef BASE_ELF_IMAGE_H
#define BASE_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct base_elf_image {
    const unsigned char *bytes; /* the whole file; NULL: none */
    size_t size;
} base_elf_image;

/* The address that the file's own tables give to what lies at an offset of the file. False where it is not loaded. */
bool base_elf_address(const base_elf_image *image, uint64_t offset, uint64_t *out_address);
/* Whether addresses of the tables are counted from where the file is loaded, as in shared objects. */
bool base_elf_is_relative(const base_elf_image *image);
/* The function that holds an address of the tables, from the full symbol table where the file has kept it, else from the
 * dynamic one, with how far past its start that is. NULL where there is none. Points into the image. */
const char *base_elf_function(const base_elf_image *image, uint64_t address, uint64_t *out_past);

#endif
