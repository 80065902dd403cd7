# Writes OUT, a C file with the bytes of FILE.
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT}
    "/* Made from tools/workload/data/digits.npy. */\n#include \"workload/digits_data.h\"\n"
    "const unsigned char digits_data[DIGITS_DATA_SIZE] = {\n${bytes}};\n")
