/* Python: what a package that binds Tarn's tensors needs in C, so that they are exchanged by DLPack as those of other libraries are.
 *
 * Two things cannot be said in Python itself. The destructor of a capsule may run while an exception is being handled; and the exchange
 * table of DLPack 1.3 is there to be called without Python. Tarn is built without Python, so that the package hands over the functions of
 * the interpreter that it runs in. All functions here are called with the interpreter's lock held. */
#ifndef TARN_PYTHON_H
#define TARN_PYTHON_H

#include <tarn/dlpack.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_python {
    size_t struct_size;
    /* Functions of CPython's stable interface, and their names there. Objects are PyObject pointers. */
    int (*capsule_is_valid)(void *capsule, const char *name);      /* PyCapsule_IsValid */
    void *(*capsule_get_pointer)(void *capsule, const char *name); /* PyCapsule_GetPointer */
    void *(*object_get_attribute)(void *object, const char *name); /* PyObject_GetAttrString */
    void (*object_release)(void *object);                          /* Py_DecRef */
    void *(*integer_as_pointer)(void *integer);                    /* PyLong_AsVoidPtr */
    void *(*call)(void *callable, const char *format, ...);        /* PyObject_CallFunction */
    void *(*error_occurred)(void);                                 /* PyErr_Occurred */
    void (*error_set)(void *exception, const char *sentence);      /* PyErr_SetString */
    /* Objects that live as long as the interpreter. */
    void *error; /* the exception that failures become: BufferError */
    void *
        make_tensor; /* called with the address of a tensor as an integer: takes its reference over, and returns an object */
    /* The attribute that holds that address in an object, 0 once it was released. Lives as long as the interpreter. */
    const char *attribute;
} tarn_python;

/* Takes the functions, and writes the exchange table, which lives as long as the process. Again: the later ones count. INVALID_ARGUMENT:
 * NULL, or a member that is NULL. */
TARN_API tarn_status tarn_python_attach(const tarn_python *python, const tarn_dlpack_exchange **out_exchange);
/* The destructor of capsules named "dltensor" and "dltensor_versioned": calls the deleter of what nobody took. Sets no exception. */
TARN_API void tarn_python_end_capsule(void *capsule);

TARN_END_DECLARATIONS

#endif
