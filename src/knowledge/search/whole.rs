//! Vectors in whole numbers of eight bits, and their products with another one, many at a time.

use pulp::{Arch, NullaryFnOnce};

/// Numbers that a processor multiplies at the same time; vectors are filled up to a multiple of it.
const LANES: usize = 32;

/// What stands for 0 in a stored vector, whose numbers have no sign.
const ZERO: i16 = 128;

/// The largest whole numbers of a stored vector and of one that is compared with it: two products of 255 and 63 still fit into
/// sixteen bits, in which a processor adds them.
const STORED_MAX: f32 = 127.0;
const ASKED_MAX: f32 = 63.0;

/// Rows whose products are computed before they are looked at.
const BLOCK: usize = 256;

/// Vectors as whole numbers, and what each one's must be multiplied by.
#[derive(Default)]
pub(super) struct Whole {
    width: usize,
    numbers: Vec<u8>,
    scales: Vec<f32>,
}

impl Whole {
    pub(super) fn new(dimensions: usize) -> Self {
        Self { width: dimensions.next_multiple_of(LANES), ..Self::default() }
    }

    pub(super) fn push(&mut self, vector: &[f32]) {
        let (numbers, scale) = rounded(vector, STORED_MAX);
        let padded = numbers.chain(std::iter::repeat(0)).take(self.width);
        self.numbers.extend(padded.map(|value| u8::try_from(value + ZERO).unwrap_or(u8::MAX)));
        self.scales.push(scale);
    }

    /// Removes a vector; the last one takes its place.
    pub(super) fn swap_remove(&mut self, place: usize) {
        let last = (self.scales.len() - 1) * self.width;
        self.numbers.copy_within(last..last + self.width, place * self.width);
        self.numbers.truncate(last);
        self.scales.swap_remove(place);
    }
}

/// The nearest whole numbers of a vector whose largest is `max`, and what they must be multiplied by.
fn rounded(vector: &[f32], max: f32) -> (impl Iterator<Item = i16>, f32) {
    let largest = vector.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let scale = largest / max;
    #[expect(clippy::cast_possible_truncation, reason = "at most max")]
    let whole = move |value: &f32| (value / scale).round() as i16;
    (vector.iter().map(whole), scale)
}

/// Compares a vector with all, some rows at a time: `look` gets the place of the first and the products of all.
pub(super) fn scan(all: &Whole, vector: &[f32], mut look: impl FnMut(usize, &[f32])) {
    let (numbers, scale) = rounded(vector, ASKED_MAX);
    let mut asked: Vec<i8> = numbers.map(|number| i8::try_from(number).unwrap_or(i8::MAX)).collect();
    asked.resize(all.width, 0);
    // What the stored zeros add to each product.
    let zeros: i32 = asked.iter().map(|number| i32::from(*number) * i32::from(ZERO)).sum();
    let arch = Arch::new();
    let mut products = [0.0_f32; BLOCK];
    let blocks = all.numbers.chunks(all.width * BLOCK).zip(all.scales.chunks(BLOCK));
    for (block, (rows, scales)) in blocks.enumerate() {
        let products = &mut products[..scales.len()];
        multiply(arch, &asked, rows, products);
        for (product, stored) in products.iter_mut().zip(scales) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "some dimensions times 255 times 63, and only their order matters"
            )]
            let of_zeros = zeros as f32;
            *product = (*product - of_zeros) * stored * scale;
        }
        look(block * BLOCK, products);
    }
}

/// The products of `asked` and each row, by the best instructions that this processor has.
fn multiply(arch: Arch, asked: &[i8], rows: &[u8], products: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Arch::V3(simd) = arch {
        simd.vectorize(x86::Multiply { simd, asked, rows, products });
        return;
    }
    arch.dispatch(Multiply { asked, rows, products });
}

/// For any processor; the compiler does what it can.
struct Multiply<'a> {
    asked: &'a [i8],
    rows: &'a [u8],
    products: &'a mut [f32],
}

impl NullaryFnOnce for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let rows = self.rows.chunks_exact(self.asked.len());
        for (row, product) in rows.zip(self.products) {
            let terms = row.iter().zip(self.asked).map(|(a, b)| i32::from(*a) * i32::from(*b));
            #[expect(clippy::cast_precision_loss, reason = "only their order matters")]
            let sum = terms.sum::<i32>() as f32;
            *product = sum;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! With AVX2: 32 products in four instructions.

    use std::arch::x86_64::__m256i;

    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, as_arrays, cast};

    use super::LANES;

    pub(super) struct Multiply<'a> {
        pub(super) simd: V3,
        pub(super) asked: &'a [i8],
        pub(super) rows: &'a [u8],
        pub(super) products: &'a mut [f32],
    }

    impl NullaryFnOnce for Multiply<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self { simd: V3 { avx, avx2, .. }, asked, rows, products } = self;
            let (asked_parts, _) = as_arrays::<LANES, i8>(asked);
            let ones = avx._mm256_set1_epi16(1);
            for (row, product) in rows.chunks_exact(asked.len()).zip(products) {
                let (parts, _) = as_arrays::<LANES, u8>(row);
                let mut sums = avx._mm256_setzero_si256();
                for (part, asked) in parts.iter().zip(asked_parts) {
                    let (part, asked): (__m256i, __m256i) = (cast(*part), cast(*asked));
                    let pairs = avx2._mm256_maddubs_epi16(part, asked);
                    sums = avx2._mm256_add_epi32(sums, avx2._mm256_madd_epi16(pairs, ones));
                }
                let sums: [i32; 8] = cast(sums);
                #[expect(clippy::cast_precision_loss, reason = "only their order matters")]
                let sum = sums.iter().sum::<i32>() as f32;
                *product = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_gets_the_same_products_also_of_the_largest_numbers() {
        let asked: Vec<i8> = (0..64).map(|n| if n % 3 == 0 { -63 } else { 63 }).collect();
        let rows: Vec<u8> = (0..64 * 300).map(|n| if n % 7 == 0 { (n % 256) as u8 } else { 255 }).collect();
        let (mut fast, mut plain) = ([0.0; 300], [0.0; 300]);
        multiply(Arch::new(), &asked, &rows, &mut fast);
        Multiply { asked: &asked, rows: &rows, products: &mut plain }.call();
        assert_eq!(fast, plain);
        let first: i32 = rows[..64].iter().zip(&asked).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        assert_eq!(plain[0], first as f32);
    }

    #[test]
    fn products_are_near_the_exact_ones() {
        let mut all = Whole::new(3);
        let vectors = [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.6, 0.0, 0.8], [0.0, 0.0, 0.0]];
        vectors.iter().for_each(|vector| all.push(vector));
        let mut seen = vec![];
        scan(&all, &[0.6, 0.0, 0.8], |start, products| {
            assert_eq!(start, 0);
            seen.extend_from_slice(products);
        });
        for (found, expected) in seen.iter().zip([0.6, 0.36, 0.28, 0.0]) {
            assert!((found - expected).abs() < 0.02, "{seen:?}");
        }
    }
}
