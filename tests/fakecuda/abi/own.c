/* The numbers of our own declarations. */
#include "../declarations.h"
#include "abi.h"
#include "list.h"

const abi_number abi_own[] = {ABI_ROWS};
const size_t abi_own_count = sizeof abi_own / sizeof abi_own[0];
