/* The project's benchmarks: `tarn bench [NAME…]`. */
#ifndef BENCH_H
#define BENCH_H

/* Like main; argv[0] is "tarn bench". Returns an exit code of the tool. */
int bench_command(int argc, char **argv);

#endif
