/* Visibility and linkage of the public names. Every public header includes this one. */
#ifndef TARN_EXPORT_H
#define TARN_EXPORT_H

#ifdef __cplusplus
#define TARN_BEGIN_DECLARATIONS extern "C" {
#define TARN_END_DECLARATIONS }
#else
#define TARN_BEGIN_DECLARATIONS
#define TARN_END_DECLARATIONS
#endif

#define TARN_API __attribute__((visibility("default")))
#define TARN_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

#endif
