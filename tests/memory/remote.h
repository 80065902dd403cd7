/* A device whose memory is real but out of the host's reach, as a GPU's: the backend "remote". The addresses that it hands out
 * are closed to the process, and only its own copies and fills touch what is behind them, through a second mapping of the
 * same memory. Streams run everything at once. */
#ifndef TESTS_MEMORY_REMOTE_H
#define TESTS_MEMORY_REMOTE_H

/* Registers the backend, once. */
void remote_install(void);

#endif
