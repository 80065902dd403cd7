/* Physical memory: pieces of the memfd of a device. A piece is put behind a program's addresses by mapping the file there, so
 * that mapping it elsewhere moves the bytes for real; the driver's own copies go through a mapping that the program does not know.
 * Offsets are handed out once: a stale mapping can never show somebody else's bytes. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What memory looks like that nobody has written: no zeros, and a NaN in every floating-point type. */
enum { POISON = 0xff, POISONED_AT_MOST = 1 << 20 };

/* Written into the file far behind the memory, where another process that is given the file reads it. */
typedef struct fake_record {
    char magic[8];
    unsigned long long size;
} fake_record;
static const char magic[8] = "fakecud";

static off_t place_of_record(unsigned long long offset) {
    return (off_t)((1ull << 61) + offset / PAGE * sizeof(fake_record));
}

fake_physical *physical_make(fake_device *on, size_t size, size_t counted, bool is_small) {
    if (counted > 0) {
        size_t before = device_used(on);
        size_t *bytes = is_small ? &on->small_bytes : &on->large_bytes;
        *bytes += counted;
        if (device_used(on) > the_driver.settings.memory && device_used(on) > before) {
            *bytes -= counted;
            return NULL;
        }
    }
    fake_physical *made = obtain(sizeof *made);
    made->on = on;
    made->file = on->file;
    made->offset = on->next_offset;
    made->size = size;
    made->counted = counted;
    made->is_small = is_small;
    made->references = 1;
    on->next_offset += (size + PAGE - 1) / PAGE * PAGE;
    return made;
}

char *physical_alias(fake_physical *memory) {
    if (memory->alias == NULL) {
        void *alias = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory->file,
                           (off_t)memory->offset);
        if (alias == MAP_FAILED) {
            perror("fakecuda: mmap");
            abort();
        }
        memory->alias = alias;
    }
    if (!memory->is_touched) {
        /* The middle of what is large stays as it is, so that large memory costs nothing. */
        size_t part = memory->size < POISONED_AT_MOST ? memory->size : PAGE;
        memset(memory->alias, POISON, part);
        memset(memory->alias + memory->size - part, POISON, part);
        memory->is_touched = true;
    }
    return memory->alias;
}

void physical_hold(fake_physical *memory) { memory->references++; }

void physical_drop(fake_physical *memory) {
    if (--memory->references > 0) return;
    if (memory->alias != NULL) munmap(memory->alias, memory->size);
    if (memory->owns_file) close(memory->file);
    else if (memory->is_touched && !memory->is_exported)
        fallocate(memory->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)memory->offset, (off_t)memory->size);
    if (memory->on != NULL && memory->is_small) memory->on->small_bytes -= memory->counted;
    if (memory->on != NULL && !memory->is_small) memory->on->large_bytes -= memory->counted;
    free(memory);
}

static void drop(void *memory) { physical_drop(memory); }

void physical_reset(void) { handles_each(HANDLE_PHYSICAL, drop); }

int physical_export(fake_physical *memory) {
    fake_record record = {.size = memory->size};
    memcpy(record.magic, magic, sizeof magic);
    physical_alias(memory);
    memory->is_exported = true;
    if (pwrite(memory->file, &record, sizeof record, place_of_record(memory->offset)) != (ssize_t)sizeof record)
        return -1;
    /* A description of its own, whose position tells the importer which piece of the file is meant. */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory->file);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0 && lseek(file, (off_t)memory->offset, SEEK_SET) < 0) {
        close(file);
        return -1;
    }
    return file;
}

fake_physical *physical_import(int file) {
    off_t offset = lseek(file, 0, SEEK_CUR);
    fake_record record;
    if (offset < 0 ||
        pread(file, &record, sizeof record, place_of_record((unsigned long long)offset)) != (ssize_t)sizeof record ||
        memcmp(record.magic, magic, sizeof magic) != 0)
        return NULL;
    int own = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return NULL;
    fake_physical *made = obtain(sizeof *made);
    made->file = own;
    made->owns_file = true;
    made->offset = (unsigned long long)offset;
    made->size = record.size;
    made->is_touched = true;
    made->references = 1;
    return made;
}
