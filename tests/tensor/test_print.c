/* Texts of tensors are those of NumPy: the strings are what NumPy 2.4's str() and array2string() gave. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/element.h"

typedef struct print_case {
    tarn_element_type type;
    tarn_shape shape;
    double floats[8];
    int64_t integers[8];
    int counting; /* above 0: 0, 1, 2, … divided by that, instead of either */
    tarn_print_options options;
    const char *wanted;
} print_case;

static const print_case cases[] = {
    {.type = TARN_ELEMENT_F32,
     .shape = {2, {2, 2}},
     .floats = {1.0, 2.0, 3.0, 4.0},
     .options = {0},
     .wanted = "[[1. 2.]\n [3. 4.]]"},
    {.type = TARN_ELEMENT_F32, .shape = {0, {0}}, .floats = {1.5}, .options = {0}, .wanted = "1.5"},
    {.type = TARN_ELEMENT_F32, .shape = {0, {0}}, .floats = {1000000.0}, .options = {0}, .wanted = "1e+06"},
    {.type = TARN_ELEMENT_F32, .shape = {0, {0}}, .floats = {9.999999747378752e-06}, .options = {0}, .wanted = "1e-05"},
    {.type = TARN_ELEMENT_F32, .shape = {0, {0}}, .floats = {-0.0}, .options = {0}, .wanted = "-0.0"},
    {.type = TARN_ELEMENT_F64, .shape = {0, {0}}, .floats = {0.1}, .options = {0}, .wanted = "0.1"},
    {.type = TARN_ELEMENT_F64, .shape = {0, {0}}, .floats = {1e+16}, .options = {0}, .wanted = "1e+16"},
    {.type = TARN_ELEMENT_F64,
     .shape = {0, {0}},
     .floats = {123456789012345.0},
     .options = {0},
     .wanted = "123456789012345.0"},
    {.type = TARN_ELEMENT_F64, .shape = {0, {0}}, .floats = {NAN}, .options = {0}, .wanted = "nan"},
    {.type = TARN_ELEMENT_F64, .shape = {0, {0}}, .floats = {-INFINITY}, .options = {0}, .wanted = "-inf"},
    {.type = TARN_ELEMENT_BOOL, .shape = {0, {0}}, .integers = {1}, .options = {0}, .wanted = "True"},
    {.type = TARN_ELEMENT_BOOL, .shape = {1, {2}}, .integers = {1, 0}, .options = {0}, .wanted = "[ True False]"},
    {.type = TARN_ELEMENT_I64, .shape = {0, {0}}, .integers = {7}, .options = {0}, .wanted = "7"},
    {.type = TARN_ELEMENT_I64, .shape = {1, {3}}, .integers = {-1, 20, 300}, .options = {0}, .wanted = "[ -1  20 300]"},
    {.type = TARN_ELEMENT_I8,
     .shape = {1, {3}},
     .integers = {-128, 127, 0},
     .options = {0},
     .wanted = "[-128  127    0]"},
    {.type = TARN_ELEMENT_U8, .shape = {1, {2}}, .integers = {0, 255}, .options = {0}, .wanted = "[  0 255]"},
    {.type = TARN_ELEMENT_I64,
     .shape = {1, {2}},
     .integers = {INT64_MIN, 9223372036854775807},
     .options = {0},
     .wanted = "[-9223372036854775808  9223372036854775807]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {3}},
     .floats = {0.10000000149011612, 0.3333333432674408, 0.6666666865348816},
     .options = {0},
     .wanted = "[0.1        0.33333334 0.6666667 ]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {3}},
     .floats = {0.1, 0.3333333333333333, 0.6666666666666666},
     .options = {0},
     .wanted = "[0.1        0.33333333 0.66666667]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {4}},
     .floats = {1.0, NAN, -INFINITY, INFINITY},
     .options = {0},
     .wanted = "[  1.  nan -inf  inf]"},
    {.type = TARN_ELEMENT_F32, .shape = {1, {2}}, .floats = {NAN, NAN}, .options = {0}, .wanted = "[nan nan]"},
    {.type = TARN_ELEMENT_F32, .shape = {1, {2}}, .floats = {1.5, NAN}, .options = {0}, .wanted = "[1.5 nan]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {9.999999747378752e-06, 1.0},
     .options = {0},
     .wanted = "[1.e-05 1.e+00]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {1000000.0, 1.0},
     .options = {0},
     .wanted = "[1.e+06 1.e+00]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {2}},
     .floats = {100000000.0, 1.0},
     .options = {0},
     .wanted = "[1.e+08 1.e+00]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {2}},
     .floats = {99999999.0, 90000.0},
     .options = {0},
     .wanted = "[9.9999999e+07 9.0000000e+04]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {1000.5, 1.0},
     .options = {0},
     .wanted = "[1.0005e+03 1.0000e+00]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {1001.0, 1.0},
     .options = {0},
     .wanted = "[1.001e+03 1.000e+00]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {9.999999747378752e-05, 0.05000000074505806},
     .options = {0},
     .wanted = "[0.0001 0.05  ]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {2}},
     .floats = {1e+100, 1e-100},
     .options = {0},
     .wanted = "[1.e+100 1.e-100]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {2}},
     .floats = {5e-324, 1.0},
     .options = {0},
     .wanted = "[5.e-324 1.e+000]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {1, {1}},
     .floats = {5.684341886080802e-14},
     .options = {0},
     .wanted = "[5.68434189e-14]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {3}},
     .floats = {-1.5, 2.25, -1000.125},
     .options = {0},
     .wanted = "[   -1.5       2.25  -1000.125]"},
    {.type = TARN_ELEMENT_F16,
     .shape = {1, {3}},
     .floats = {0.015625, 8.0, 0.00024402141571044922},
     .options = {0},
     .wanted = "[1.563e-02 8.000e+00 2.440e-04]"},
    {.type = TARN_ELEMENT_F16, .shape = {1, {2}}, .floats = {1000.0, 0.5}, .options = {0}, .wanted = "[1.e+03 5.e-01]"},
    {.type = TARN_ELEMENT_F32, .shape = {1, {2}}, .floats = {0.0, -0.0}, .options = {0}, .wanted = "[ 0. -0.]"},
    {.type = TARN_ELEMENT_F32, .shape = {2, {0, 3}}, .counting = 1, .options = {0}, .wanted = "[]"},
    {.type = TARN_ELEMENT_F32, .shape = {3, {2, 0, 3}}, .counting = 1, .options = {0}, .wanted = "[]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {3, {1, 2, 3}},
     .floats = {0.0, 1.0, 2.0, 3.0, 4.0, 5.0},
     .options = {0},
     .wanted = "[[[0. 1. 2.]\n  [3. 4. 5.]]]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {4, {2, 2, 2, 2}},
     .counting = 1,
     .options = {0},
     .wanted =
         "[[[[ 0.  1.]\n   [ 2.  3.]]\n\n  [[ 4.  5.]\n   [ 6.  7.]]]\n\n\n [[[ 8.  9.]\n   [10. 11.]]\n\n  [[12. 13.]\n   [14. 15.]]]]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {30}},
     .counting = 7,
     .options = {0},
     .wanted =
         "[0.         0.14285715 0.2857143  0.42857143 0.5714286  0.71428573\n 0.85714287 1.         1.1428572  1.2857143  1.4285715  1.5714285\n 1.7142857  1.8571428  2.         2.142857   2.2857144  2.4285715\n 2.5714285  2.7142856  2.857143   3.         3.142857   3.2857144\n 3.4285715  3.5714285  3.7142856  3.857143   4.         4.142857  ]"},
    {.type = TARN_ELEMENT_I32,
     .shape = {1, {1001}},
     .counting = 1,
     .options = {0},
     .wanted = "[   0    1    2 ...  998  999 1000]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {2, {20, 100}},
     .counting = 1,
     .options = {0},
     .wanted =
         "[[0.000e+00 1.000e+00 2.000e+00 ... 9.700e+01 9.800e+01 9.900e+01]\n [1.000e+02 1.010e+02 1.020e+02 ... 1.970e+02 1.980e+02 1.990e+02]\n [2.000e+02 2.010e+02 2.020e+02 ... 2.970e+02 2.980e+02 2.990e+02]\n ...\n [1.700e+03 1.701e+03 1.702e+03 ... 1.797e+03 1.798e+03 1.799e+03]\n [1.800e+03 1.801e+03 1.802e+03 ... 1.897e+03 1.898e+03 1.899e+03]\n [1.900e+03 1.901e+03 1.902e+03 ... 1.997e+03 1.998e+03 1.999e+03]]"},
    {.type = TARN_ELEMENT_I32,
     .shape = {4, {2, 6, 10, 10}},
     .counting = 1,
     .options = {0},
     .wanted =
         "[[[[   0    1    2 ...    7    8    9]\n   [  10   11   12 ...   17   18   19]\n   [  20   21   22 ...   27   28   29]\n   ...\n   [  70   71   72 ...   77   78   79]\n   [  80   81   82 ...   87   88   89]\n   [  90   91   92 ...   97   98   99]]\n\n  [[ 100  101  102 ...  107  108  109]\n   [ 110  111  112 ...  117  118  119]\n   [ 120  121  122 ...  127  128  129]\n   ...\n   [ 170  171  172 ...  177  178  179]\n   [ 180  181  182 ...  187  188  189]\n   [ 190  191  192 ...  197  198  199]]\n\n  [[ 200  201  202 ...  207  208  209]\n   [ 210  211  212 ...  217  218  219]\n   [ 220  221  222 ...  227  228  229]\n   ...\n   [ 270  271  272 ...  277  278  279]\n   [ 280  281  282 ...  287  288  289]\n   [ 290  291  292 ...  297  298  299]]\n\n  [[ 300  301  302 ...  307  308  309]\n   [ 310  311  312 ...  317  318  319]\n   [ 320  321  322 ...  327  328  329]\n   ...\n   [ 370  371  372 ...  377  378  379]\n   [ 380  381  382 ...  387  388  389]\n   [ 390  391  392 ...  397  398  399]]\n\n  [[ 400  401  402 ...  407  408  409]\n   [ 410  411  412 ...  417  418  419]\n   [ 420  421  422 ...  427  428  429]\n   ...\n   [ 470  471  472 ...  477  478  479]\n   [ 480  481  482 ...  487  488  489]\n   [ 490  491  492 ...  497  498  499]]\n\n  [[ 500  501  502 ...  507  508  509]\n   [ 510  511  512 ...  517  518  519]\n   [ 520  521  522 ...  527  528  529]\n   ...\n   [ 570  571  572 ...  577  578  579]\n   [ 580  581  582 ...  587  588  589]\n   [ 590  591  592 ...  597  598  599]]]\n\n\n [[[ 600  601  602 ...  607  608  609]\n   [ 610  611  612 ...  617  618  619]\n   [ 620  621  622 ...  627  628  629]\n   ...\n   [ 670  671  672 ...  677  678  679]\n   [ 680  681  682 ...  687  688  689]\n   [ 690  691  692 ...  697  698  699]]\n\n  [[ 700  701  702 ...  707  708  709]\n   [ 710  711  712 ...  717  718  719]\n   [ 720  721  722 ...  727  728  729]\n   ...\n   [ 770  771  772 ...  777  778  779]\n   [ 780  781  782 ...  787  788  789]\n   [ 790  791  792 ...  797  798  799]]\n\n  [[ 800  801  802 ...  807  808  809]\n   [ 810  811  812 ...  817  818  819]\n   [ 820  821  822 ...  827  828  829]\n   ...\n   [ 870  871  872 ...  877  878  879]\n   [ 880  881  882 ...  887  888  889]\n   [ 890  891  892 ...  897  898  899]]\n\n  [[ 900  901  902 ...  907  908  909]\n   [ 910  911  912 ...  917  918  919]\n   [ 920  921  922 ...  927  928  929]\n   ...\n   [ 970  971  972 ...  977  978  979]\n   [ 980  981  982 ...  987  988  989]\n   [ 990  991  992 ...  997  998  999]]\n\n  [[1000 1001 1002 ... 1007 1008 1009]\n   [1010 1011 1012 ... 1017 1018 1019]\n   [1020 1021 1022 ... 1027 1028 1029]\n   ...\n   [1070 1071 1072 ... 1077 1078 1079]\n   [1080 1081 1082 ... 1087 1088 1089]\n   [1090 1091 1092 ... 1097 1098 1099]]\n\n  [[1100 1101 1102 ... 1107 1108 1109]\n   [1110 1111 1112 ... 1117 1118 1119]\n   [1120 1121 1122 ... 1127 1128 1129]\n   ...\n   [1170 1171 1172 ... 1177 1178 1179]\n   [1180 1181 1182 ... 1187 1188 1189]\n   [1190 1191 1192 ... 1197 1198 1199]]]]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {8}},
     .floats = {0.0, 0.3333333432674408, 0.6666666865348816, 1.0, 1.3333333730697632, 1.6666666269302368, 2.0,
                2.3333332538604736},
     .options = {.precision = 3, .threshold = 0, .edge_items = 0, .line_width = 0},
     .wanted = "[0.    0.333 0.667 1.    1.333 1.667 2.    2.333]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {8}},
     .floats = {0.0, 0.3333333432674408, 0.6666666865348816, 1.0, 1.3333333730697632, 1.6666666269302368, 2.0,
                2.3333332538604736},
     .options = {.precision = 12, .threshold = 0, .edge_items = 0, .line_width = 0},
     .wanted = "[0.         0.33333334 0.6666667  1.         1.3333334  1.6666666\n 2.         2.3333333 ]"},
    {.type = TARN_ELEMENT_I32,
     .shape = {1, {40}},
     .counting = 1,
     .options = {.precision = 0, .threshold = 0, .edge_items = 0, .line_width = 20},
     .wanted =
         "[ 0  1  2  3  4  5\n  6  7  8  9 10 11\n 12 13 14 15 16 17\n 18 19 20 21 22 23\n 24 25 26 27 28 29\n 30 31 32 33 34 35\n 36 37 38 39]"},
    {.type = TARN_ELEMENT_I32,
     .shape = {2, {8, 5}},
     .counting = 1,
     .options = {.precision = 0, .threshold = 10, .edge_items = 1, .line_width = 0},
     .wanted = "[[ 0 ...  4]\n ...\n [35 ... 39]]"},
    {.type = TARN_ELEMENT_F64,
     .shape = {2, {1, 1}},
     .floats = {123456.5},
     .options = {.precision = 0, .threshold = 0, .edge_items = 0, .line_width = 3},
     .wanted = "[[123456.5]]"},
    {.type = TARN_ELEMENT_F32,
     .shape = {1, {2}},
     .floats = {1000000.0, 2.499999993688107e-07},
     .options = {.precision = 2, .threshold = 0, .edge_items = 0, .line_width = 0},
     .wanted = "[1.0e+06 2.5e-07]"},
};

static int open_bench(void **state) {
    static test_bench bench;
    bench_open(&bench, "cpu", "caching");
    *state = &bench;
    return 0;
}

static int close_bench(void **state) {
    bench_close(*state);
    return 0;
}

static tarn_tensor *make(test_bench *bench, const print_case *wanted) {
    size_t elements, size = tarn_element_size(wanted->type);
    tarn_tensor *tensor;
    EXPECT_OK(tarn_shape_elements(&wanted->shape, &elements));
    char *bytes = calloc(elements + 1, size);
    assert_non_null(bytes);
    for (size_t i = 0; i < elements; i++) {
        bool is_counted = wanted->counting > 0;
        double number = (double)((float)i / (float)(is_counted ? wanted->counting : 1));
        tarn_scalar value = wanted->type > TARN_ELEMENT_F64
                                ? tarn_scalar_integer(is_counted ? (int64_t)i : wanted->integers[i])
                                : tarn_scalar_float(is_counted ? number : wanted->floats[i]);
        tarn_constant constant = tensor_constant(value, wanted->type);
        tensor_write_element(&constant, bytes + i * size);
    }
    EXPECT_OK(tarn_tensor_from_data(bench->allocator, &wanted->shape, wanted->type, bytes, NULL, &tensor));
    free(bytes);
    return tensor;
}

static void texts_are_those_of_numpy(void **state) {
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16384];
        size_t length;
        tarn_print_options options = cases[i].options;
        options.struct_size = sizeof options;
        tarn_tensor *tensor = make(*state, &cases[i]);
        EXPECT_OK(tarn_tensor_to_string(tensor, &options, NULL, text, sizeof text, &length));
        EXPECT_OK(tarn_tensor_release(tensor));
        if (strcmp(text, cases[i].wanted) == 0 && length == strlen(text)) continue;
        print_error("%s\ninstead of\n%s\n", text, cases[i].wanted);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void views_are_written_as_they_are_seen(void **state) {
    char text[256];
    size_t length;
    tarn_tensor *tensor = counting(*state, SHAPE(3, 4)), *turned, *part;
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT_OK(tarn_tensor_slice(turned, 0, 3, -5, -2, &part));
    EXPECT_OK(tarn_tensor_to_string(part, NULL, NULL, text, sizeof text, &length));
    assert_string_equal(text, "[[ 3.  7. 11.]\n [ 1.  5.  9.]]");
    EXPECT_OK(tarn_tensor_release(part));
    EXPECT_OK(tarn_tensor_release(turned));
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void the_length_is_told_whatever_room_there_is(void **state) {
    char text[8];
    size_t length = 0, same = 0;
    tarn_tensor *tensor = counting(*state, SHAPE(4));
    EXPECT_OK(tarn_tensor_to_string(tensor, NULL, NULL, NULL, 0, &length));
    assert_int_equal(length, strlen("[0. 1. 2. 3.]"));
    EXPECT_OK(tarn_tensor_to_string(tensor, NULL, NULL, text, sizeof text, &same));
    assert_string_equal(text, "[0. 1. ");
    assert_int_equal(same, length);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to_string(tensor, NULL, NULL, text, sizeof text, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to_string(tensor, NULL, NULL, NULL, 5, &length));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to_string(NULL, NULL, NULL, text, sizeof text, &length));
    tarn_print_options options = {.struct_size = sizeof options, .precision = 101};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to_string(tensor, &options, NULL, text, sizeof text, &length));
    EXPECT_SENTENCE("101 digits");
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void without_host_memory_nothing_is_written(void **state) {
    char text[32] = "untouched";
    size_t length = 77;
    tarn_tensor *tensor = counting(*state, SHAPE(4));
    base_memory_fail_at(1, 0);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_tensor_to_string(tensor, NULL, NULL, text, sizeof text, &length));
    base_memory_fail_at(0, 0);
    assert_string_equal(text, "untouched");
    assert_int_equal(length, 77);
    EXPECT_OK(tarn_tensor_release(tensor));
}

/* What NumPy has no string for: only the type's own digits tell a number. */
static void brain_floats_have_their_own_digits(void **state) {
    static const print_case wanted = {
        .type = TARN_ELEMENT_BF16, .shape = {1, {3}}, .floats = {0.1, -2.5, 10}, .wanted = "[ 0.1 -2.5 10. ]"};
    char text[64];
    size_t length;
    tarn_tensor *tensor = make(*state, &wanted);
    EXPECT_OK(tarn_tensor_to_string(tensor, NULL, NULL, text, sizeof text, &length));
    assert_string_equal(text, wanted.wanted);
    EXPECT_OK(tarn_tensor_release(tensor));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_are_those_of_numpy, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(views_are_written_as_they_are_seen, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(the_length_is_told_whatever_room_there_is, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(without_host_memory_nothing_is_written, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(brain_floats_have_their_own_digits, open_bench, close_bench),
    };
    return cmocka_run_group_tests_name("tensor.print", tests, NULL, NULL);
}
