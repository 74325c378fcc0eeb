//! The logarithm and the cosine of the crate libm, bit for bit, without its compile time: those of the platform differ
//! from one machine to another. Only the arguments that [`normal`](super::Generator::normal) has are served.
//!
//! After libm, which has them from FreeBSD's msun:
//!
//! > Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunSoft, a Sun Microsystems, Inc.
//! > business. Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice
//! > is preserved.

/// ln x of a normal number above 0.
pub(super) fn ln(x: f64) -> f64 {
    const LN_2: (f64, f64) = (f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76));
    const L: [f64; 7] = [
        f64::from_bits(0x3fe5_5555_5555_5593),
        f64::from_bits(0x3fd9_9999_9997_fa04),
        f64::from_bits(0x3fd2_4924_9422_9359),
        f64::from_bits(0x3fcc_71c5_1d8e_78af),
        f64::from_bits(0x3fc7_4664_96cb_03de),
        f64::from_bits(0x3fc3_9a09_d078_c69f),
        f64::from_bits(0x3fc2_f112_df3e_5244),
    ];
    const ONE: u64 = 0x3ff0_0000 << 32;
    const ROOT_HALF: u64 = 0x3fe6_a09e << 32;

    // x = 2ⁿ · (1 + f), with 1 + f from √½ to √2.
    let bits = x.to_bits() + (ONE - ROOT_HALF);
    let n = (bits >> 52) as f64 - 1023.0;
    let f = f64::from_bits((bits & ((1 << 52) - 1)) + ROOT_HALF) - 1.0;

    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (L[1] + w * (L[3] + w * L[5]));
    let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    s * (half + (odd + even)) + n * LN_2.1 - half + f + n * LN_2.0
}

/// cos x for x from 0 to 2π.
pub(super) fn cos(x: f64) -> f64 {
    /// π / 2 in three pieces of 33 bits, and what is left after one, two and three of them.
    const PIECES: [f64; 3] = [
        f64::from_bits(0x3ff9_21fb_5440_0000),
        f64::from_bits(0x3dd0_b461_1a60_0000),
        f64::from_bits(0x3ba3_198a_2e00_0000),
    ];
    const LEFT: [f64; 3] = [
        f64::from_bits(0x3dd0_b461_1a62_6331),
        f64::from_bits(0x3ba3_198a_2e03_7073),
        f64::from_bits(0x397b_839a_2520_49c1),
    ];
    /// The upper halves of π / 4, 3π / 4, 5π / 4 and 7π / 4, and those of the multiples of π / 2.
    const BOUNDS: [u32; 4] = [0x3fe9_21fb, 0x4002_d97c, 0x400f_6a7a, 0x4015_fdbc];
    const MULTIPLES: [u32; 4] = [0x3ff9_21fb, 0x4009_21fb, 0x4012_d97c, 0x4019_21fb];

    let upper = (x.to_bits() >> 32) as u32;
    let quarters = BOUNDS.iter().filter(|bound| upper > **bound).count();
    let n = quarters as f64;
    // y + tail = x − n · π / 2, with more pieces of π where the difference is small.
    let exponent = |x: f64| x.to_bits() >> 52 & 0x7ff;
    let mut rest = x - n * PIECES[0];
    let mut low = n * LEFT[0];
    let mut y = rest - low;
    for piece in 1..3 {
        if !MULTIPLES.contains(&upper) || piece == 2 && exponent(x) <= exponent(y) + 49 {
            break;
        }
        let before = rest;
        low = n * PIECES[piece];
        rest = before - low;
        low = n * LEFT[piece] - ((before - rest) - low);
        y = rest - low;
    }
    let tail = (rest - y) - low;
    match quarters {
        0 | 4 => cos_near_zero(y, tail),
        1 => -sin_near_zero(y, tail),
        2 => -cos_near_zero(y, tail),
        _ => sin_near_zero(y, tail),
    }
}

/// cos(x + tail) up to π / 4.
fn cos_near_zero(x: f64, tail: f64) -> f64 {
    const C: [f64; 6] = [
        f64::from_bits(0x3fa5_5555_5555_554c),
        f64::from_bits(0xbf56_c16c_16c1_5177),
        f64::from_bits(0x3efa_01a0_19cb_1590),
        f64::from_bits(0xbe92_7e4f_809c_52ad),
        f64::from_bits(0x3e21_ee9e_bdb4_b1c4),
        f64::from_bits(0xbda8_fae9_be88_38d4),
    ];
    let z = x * x;
    let w = z * z;
    let r = z * (C[0] + z * (C[1] + z * C[2])) + w * w * (C[3] + z * (C[4] + z * C[5]));
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * r - x * tail))
}

/// sin(x + tail) up to π / 4.
fn sin_near_zero(x: f64, tail: f64) -> f64 {
    const S: [f64; 6] = [
        f64::from_bits(0xbfc5_5555_5555_5549),
        f64::from_bits(0x3f81_1111_1110_f8a6),
        f64::from_bits(0xbf2a_01a0_19c1_61d5),
        f64::from_bits(0x3ec7_1de3_57b1_fe7d),
        f64::from_bits(0xbe5a_e5e6_8a2b_9ceb),
        f64::from_bits(0x3de5_d93a_5acf_d57c),
    ];
    let z = x * x;
    let w = z * z;
    let r = S[1] + z * (S[2] + z * S[3]) + z * w * (S[4] + z * S[5]);
    let v = z * x;
    x - ((z * (0.5 * tail - v * r) - tail) - v * S[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;
    use core::f64::consts::{FRAC_PI_4, TAU};

    /// All that `normal` can ask for: u from 2⁻⁵³ to 1, and 2π · u from 0 on.
    #[test]
    fn they_are_those_of_libm_to_the_last_bit() {
        let mut rng = Generator::manual_seed(0);
        let drawn = (0..2_000_000).map(|_| rng.uniform::<f64>());
        let small = (0..=53).map(|n| 0.5f64.powi(n));
        // Around the bounds of the cases, and around the multiples of π / 4, where little is left.
        let bounds = [0.5f64.sqrt(), 1.0 - 0.5f64.powi(30)];
        let multiples = (1..=8).map(|n| f64::from(n) * FRAC_PI_4 / TAU);
        let around = bounds.into_iter().chain(multiples).flat_map(|x| {
            let steps = (0..52).flat_map(move |bit| [x.to_bits() - (1 << bit), x.to_bits() + (1 << bit)]);
            steps.chain((0..1000).flat_map(move |i| [x.to_bits() - i, x.to_bits() + i])).map(f64::from_bits)
        });
        let mut count = 0;
        for u in drawn.chain(small).chain(around).filter(|u| (0.0..=1.0).contains(u)) {
            let angle = TAU * u;
            assert_eq!(cos(angle).to_bits(), libm::cos(angle).to_bits(), "cos {angle:e}");
            assert_eq!(cos(u).to_bits(), libm::cos(u).to_bits(), "cos {u:e}");
            if u > 0.0 {
                assert_eq!(ln(u).to_bits(), libm::log(u).to_bits(), "ln {u:e}");
            }
            count += 1;
        }
        assert!(count > 2_010_000);
    }
}
