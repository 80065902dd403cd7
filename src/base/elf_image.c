/* Reading symbol tables. The tables are searched from end to end: that is done once for a name in a report. */
#include "base/elf_image.h"

#include <elf.h>
#include <link.h>
#include <string.h>

static const ElfW(Ehdr) * header_of(const base_elf_image *image) {
    if (image->bytes == NULL || image->size < sizeof(ElfW(Ehdr))) return NULL;
    return memcmp(image->bytes, ELFMAG, SELFMAG) == 0 ? (const void *)image->bytes : NULL;
}

/* `count` elements at `offset` of the file, or NULL where the file does not have them. */
static const void *part_of(const base_elf_image *image, uint64_t offset, uint64_t count, size_t size) {
    if (offset > image->size || count > (image->size - offset) / size || offset % 4 != 0) return NULL;
    return image->bytes + offset;
}

bool base_elf_address(const base_elf_image *image, uint64_t offset, uint64_t *out_address) {
    const ElfW(Ehdr) *header = header_of(image);
    if (header == NULL) return false;
    const ElfW(Phdr) *segments = part_of(image, header->e_phoff, header->e_phnum, sizeof *segments);
    for (size_t i = 0; segments != NULL && i < header->e_phnum; i++) {
        const ElfW(Phdr) *segment = &segments[i];
        if (segment->p_type != PT_LOAD || offset < segment->p_offset || offset - segment->p_offset >= segment->p_filesz)
            continue;
        *out_address = offset - segment->p_offset + segment->p_vaddr;
        return true;
    }
    return false;
}

bool base_elf_is_relative(const base_elf_image *image) {
    const ElfW(Ehdr) *header = header_of(image);
    return header != NULL && header->e_type == ET_DYN;
}

/* The function of one symbol table that holds the address. */
static const char *search(const base_elf_image *image, const ElfW(Shdr) * table, const ElfW(Shdr) * names,
                          uint64_t address, uint64_t *out_past) {
    uint64_t count = table->sh_size / sizeof(ElfW(Sym));
    const ElfW(Sym) *symbols = part_of(image, table->sh_offset, count, sizeof *symbols);
    const char *texts = names->sh_offset <= image->size && names->sh_size <= image->size - names->sh_offset
                            ? (const char *)image->bytes + names->sh_offset
                            : NULL;
    for (uint64_t i = 0; symbols != NULL && texts != NULL && i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if ((symbol->st_info & 0xf) != STT_FUNC || symbol->st_shndx == SHN_UNDEF) continue;
        if (address < symbol->st_value || address - symbol->st_value >= symbol->st_size) continue;
        if (symbol->st_name >= names->sh_size) continue;
        if (memchr(texts + symbol->st_name, '\0', names->sh_size - symbol->st_name) == NULL) continue;
        *out_past = address - symbol->st_value;
        return texts + symbol->st_name;
    }
    return NULL;
}

const char *base_elf_function(const base_elf_image *image, uint64_t address, uint64_t *out_past) {
    const ElfW(Ehdr) *header = header_of(image);
    if (header == NULL) return NULL;
    const ElfW(Shdr) *sections = part_of(image, header->e_shoff, header->e_shnum, sizeof *sections);
    static const unsigned types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (size_t type = 0; sections != NULL && type < sizeof types / sizeof types[0]; type++) {
        for (size_t i = 0; i < header->e_shnum; i++) {
            if (sections[i].sh_type != types[type] || sections[i].sh_link >= header->e_shnum) continue;
            const char *name = search(image, &sections[i], &sections[sections[i].sh_link], address, out_past);
            if (name != NULL) return name;
        }
    }
    return NULL;
}
