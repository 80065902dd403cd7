/* What digits.cmake makes of data/digits.npy. */
#ifndef WORKLOAD_DIGITS_DATA_H
#define WORKLOAD_DIGITS_DATA_H

#define DIGITS_DATA_SIZE 116933

extern const unsigned char digits_data[DIGITS_DATA_SIZE];

#endif
