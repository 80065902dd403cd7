/* What ran, in order: work of a stream that writes one word each. */
#ifndef DIARY_H
#define DIARY_H

/* To be read and emptied while no stream works. */
extern char diary[256];
/* A host function: appends the text that is its context. From any thread. */
void write_diary(void *context);

#endif
