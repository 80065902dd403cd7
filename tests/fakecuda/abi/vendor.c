/* The numbers of the vendor's cuda.h, where there is one of version 13. Our prototypes come behind it: one that differs
 * does not compile. */
#include "abi.h"

#ifdef FAKECUDA_VENDOR_HEADER
#include FAKECUDA_VENDOR_HEADER

#include "../errors.h"
#include "list.h"

/* Names that the header gives to other versions of the functions. */
#undef cuGraphAddDependencies
#undef cuGraphNodeGetDependencies
#undef cuStreamUpdateCaptureDependencies

#include "../prototypes.h"
#include "../prototypes_graph.h"

const abi_number abi_vendor[] = {ABI_ROWS};
const size_t abi_vendor_count = sizeof abi_vendor / sizeof abi_vendor[0];
#else
const abi_number abi_vendor[] = {{"", 0}};
const size_t abi_vendor_count = 0;
#endif
