/* Two small drivers of other devices, whose work is done at once: "apart", whose memory the host must not touch, with pinned memory
 * beside it, and "beside", whose memory the host reaches. Neither computes. Calls of them can be made to fail. */
#ifndef TESTS_TENSOR_APART_H
#define TESTS_TENSOR_APART_H

/* Registers both, once. */
void apart_install(void);
/* The n-th call that could fail does, counted over both from now on; 0: none. */
void apart_fail_at(unsigned long n);
/* Calls of both drivers that can fail, since then. */
unsigned long apart_calls(void);
/* Copies that a driver was asked for so far. */
unsigned long apart_copies(void);

#endif
