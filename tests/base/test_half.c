/* Halves of both sorts: each one is the float that its digits say, and each float becomes the nearest of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/half.h"

typedef struct sort {
    uint16_t (*round)(float value);
    float (*widen)(uint16_t bits);
    int digits; /* of the fraction */
    int bias;
    uint16_t infinity;
} sort;

static uint16_t round_half(float value) { return half_of_float(value); }
static float widen_half(uint16_t bits) { return float_of_half(bits); }
static uint16_t round_brain(float value) { return brain_of_float(value); }
static float widen_brain(uint16_t bits) { return float_of_brain(bits); }

static const sort sorts[] = {{round_half, widen_half, 10, 15, 0x7c00}, {round_brain, widen_brain, 7, 127, 0x7f80}};

/* By the definition of the format. */
static float value_of(const sort *this, uint16_t bits) {
    int exponent = bits >> this->digits, fraction = bits & ((1 << this->digits) - 1);
    if (exponent == 0) return ldexpf((float)fraction, 1 - this->bias - this->digits);
    return ldexpf((float)(fraction + (1 << this->digits)), exponent - this->bias - this->digits);
}

static void numbers_are_what_their_digits_say(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const sort *this = &sorts[i];
        for (uint32_t bits = 0; bits < this->infinity; bits++) {
            float value = value_of(this, (uint16_t)bits), negative = this->widen((uint16_t)(bits | 0x8000));
            if (this->widen((uint16_t)bits) != value || negative != -value || !signbit(negative)) {
                fail_msg("%#x is %a", bits, (double)this->widen((uint16_t)bits));
            }
            if (this->round(value) != bits || this->round(-value) != (bits | 0x8000)) fail_msg("%a", (double)value);
        }
    }
}

/* Just below the middle between two, just above it, and there, where the even one wins. The middle before infinity rounds to it. */
static void floats_become_the_nearest(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const sort *this = &sorts[i];
        for (uint32_t bits = 0; bits < this->infinity; bits++) {
            double lower = (double)value_of(this, (uint16_t)bits);
            double upper = bits + 1 < this->infinity ? (double)value_of(this, (uint16_t)(bits + 1))
                                                     : 2 * lower - (double)value_of(this, (uint16_t)(bits - 1));
            float middle = (float)((lower + upper) / 2);
            uint32_t even = (bits & 1) == 0 ? bits : bits + 1;
            if (this->round(middle) != even || this->round(nextafterf(middle, 0)) != bits ||
                this->round(nextafterf(middle, INFINITY)) != bits + 1 || this->round(-middle) != (even | 0x8000)) {
                fail_msg("%a becomes %#x", (double)middle, this->round(middle));
            }
        }
    }
}

static void what_is_no_number_stays_so(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const sort *this = &sorts[i];
        assert_int_equal(this->round(INFINITY), this->infinity);
        assert_int_equal(this->round(-INFINITY), this->infinity | 0x8000);
        assert_true(isinf(this->widen(this->infinity)));
        for (uint32_t bits = this->infinity + 1u; bits < 0x8000; bits++) {
            float value = this->widen((uint16_t)bits);
            assert_true(isnan(value));
            assert_true((this->round(value) & 0x7fff) > this->infinity);
        }
        /* One with nothing but a last bit. */
        assert_true((this->round(float_of_bits(0x7f800001u)) & 0x7fff) > this->infinity);
    }
    assert_int_equal(half_of_float(0x1p127f), 0x7c00);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_what_their_digits_say),
        cmocka_unit_test(floats_become_the_nearest),
        cmocka_unit_test(what_is_no_number_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
