/* The contenders of `tarn bench ops` in processes of their own. */
#ifndef BENCH_OPERATIONS_H
#define BENCH_OPERATIONS_H

/* The option with which the tool measures Tarn's operations in this process; for operations.c alone. */
#define OPERATIONS_OPTION "measure-operations"

/* That process: `argument` is "ELEMENTS:ROUNDS". Returns an exit code. */
int operations_child(const char *argument);

/* peers/operations.py, which measures NumPy and PyTorch; made by peers.cmake. */
extern const char operations_script[];

#endif
