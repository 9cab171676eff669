//! Vectors in whole numbers of four bits, and their products with another one, many at a time. How fast that is depends on how much
//! memory is read: an eighth of what the vectors themselves take.

use pulp::{Arch, NullaryFnOnce};

/// Bytes that a processor reads at the same time.
const BYTES: usize = 32;

/// Numbers in as many bytes; vectors are filled up to a multiple of it. The first half of them are the lower halves of the bytes.
const LANES: usize = 2 * BYTES;

/// What stands for 0 in a stored vector, whose numbers have no sign.
const ZERO: i16 = 8;

/// The largest whole numbers of a stored vector and of one that is compared with it.
const STORED_MAX: f32 = 7.0;
const ASKED_MAX: f32 = 63.0;

/// Products that fit into sixteen bits together, in which a processor adds them: two of 15 and 63, so many times.
const SUMS: usize = 16;

/// Rows that are multiplied at the same time.
const ROWS: usize = 4;

/// What stands out further than this, in root mean squares, is taken to stand out as far: few numbers do, and all others would be told
/// apart less well.
const OUTSTANDING: f32 = 3.5;

/// Rows whose products are computed before they are looked at.
const BLOCK: usize = 256;

/// Vectors as whole numbers, and what each one's must be multiplied by.
#[derive(Default)]
pub(super) struct Whole {
    /// Of a vector, in bytes.
    width: usize,
    numbers: Vec<u8>,
    scales: Vec<f32>,
}

impl Whole {
    pub(super) fn new(dimensions: usize) -> Self {
        Self { width: dimensions.div_ceil(LANES) * BYTES, ..Self::default() }
    }

    pub(super) fn push(&mut self, vector: &[f32]) {
        let squares: f32 = vector.iter().map(|value| value * value).sum();
        #[expect(clippy::cast_precision_loss, reason = "some thousand dimensions at the most")]
        let outstanding = OUTSTANDING * (squares / vector.len().max(1) as f32).sqrt();
        let numbers: Vec<i16> = rounded(vector, STORED_MAX, largest(vector).min(outstanding)).collect();
        // So that the product of the vector with itself is right.
        let own: f32 = numbers.iter().zip(vector).map(|(number, value)| f32::from(*number) * value).sum();
        self.scales.push(if own > 0.0 { squares / own } else { 0.0 });
        let at = |place: usize| numbers.get(place).copied().unwrap_or(0) + ZERO;
        let packed = (0..self.width).map(|byte| {
            let low = byte / BYTES * LANES + byte % BYTES;
            u8::try_from(at(low) | at(low + BYTES) << 4).unwrap_or(u8::MAX)
        });
        self.numbers.extend(packed);
    }

    /// Removes a vector; the last one takes its place.
    pub(super) fn swap_remove(&mut self, place: usize) {
        let last = (self.scales.len() - 1) * self.width;
        self.numbers.copy_within(last..last + self.width, place * self.width);
        self.numbers.truncate(last);
        self.scales.swap_remove(place);
    }
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()))
}

/// The nearest whole numbers of a vector, of which `max` stands for what is as large as `largest`.
fn rounded(vector: &[f32], max: f32, largest: f32) -> impl Iterator<Item = i16> {
    let scale = largest.max(f32::MIN_POSITIVE) / max;
    #[expect(clippy::cast_possible_truncation, reason = "at most max")]
    let whole = move |value: &f32| (value / scale).round().clamp(-max, max) as i16;
    vector.iter().map(whole)
}

/// Compares a vector with all, some rows at a time: `look` gets the place of the first and the products of all.
pub(super) fn scan(all: &Whole, vector: &[f32], mut look: impl FnMut(usize, &[f32])) {
    let largest = largest(vector);
    let numbers = rounded(vector, ASKED_MAX, largest);
    let mut asked: Vec<i8> = numbers.map(|number| i8::try_from(number).unwrap_or(i8::MAX)).collect();
    asked.resize(2 * all.width, 0);
    // What the stored zeros add to each product.
    let zeros: i32 = asked.iter().map(|number| i32::from(*number) * i32::from(ZERO)).sum();
    let scale = largest / ASKED_MAX;
    let arch = Arch::new();
    let mut products = [0.0_f32; BLOCK];
    let blocks = all.numbers.chunks(all.width * BLOCK).zip(all.scales.chunks(BLOCK));
    for (block, (rows, scales)) in blocks.enumerate() {
        let products = &mut products[..scales.len()];
        multiply(arch, &asked, rows, products);
        for (product, stored) in products.iter_mut().zip(scales) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "some dimensions times 15 times 63, and only their order matters"
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
        let rows = self.rows.chunks_exact(self.asked.len() / 2);
        for (row, product) in rows.zip(self.products) {
            let mut sum = 0;
            for (part, asked) in row.chunks_exact(BYTES).zip(self.asked.chunks_exact(LANES)) {
                let (low, high) = asked.split_at(BYTES);
                for ((byte, low), high) in part.iter().zip(low).zip(high) {
                    sum += i32::from(byte & 15) * i32::from(*low) + i32::from(byte >> 4) * i32::from(*high);
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "only their order matters")]
            let sum = sum as f32;
            *product = sum;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! With AVX2: 64 products in some eight instructions.

    use std::arch::x86_64::__m256i;

    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, as_arrays, cast};

    use super::{BYTES, ROWS, SUMS};

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
            let Self { simd, asked, rows, products } = self;
            let (asked, _) = as_arrays::<BYTES, i8>(asked);
            let (rows, _) = as_arrays::<BYTES, u8>(rows);
            let width = asked.len() / 2;
            let mut rows = rows.chunks_exact(ROWS * width);
            let mut products = products.chunks_exact_mut(ROWS);
            for (some, products) in rows.by_ref().zip(products.by_ref()) {
                let at = |row: usize| &some[row * width..][..width];
                let sums = sums(simd, asked, [at(0), at(1), at(2), at(3)]);
                products.iter_mut().zip(sums).for_each(|(product, sum)| *product = whole(sum));
            }
            for (row, product) in rows.remainder().chunks_exact(width).zip(products.into_remainder()) {
                let [sum] = sums(simd, asked, [row]);
                *product = whole(sum);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "only their order matters")]
    const fn whole(sum: i32) -> f32 {
        sum as f32
    }

    /// The product of what is asked with each of some rows.
    #[inline(always)]
    fn sums<const N: usize>(simd: V3, asked: &[[i8; BYTES]], rows: [&[[u8; BYTES]]; N]) -> [i32; N] {
        let V3 { avx, avx2, .. } = simd;
        let (ones, lower) = (avx._mm256_set1_epi16(1), avx._mm256_set1_epi8(15));
        let mut sums = [avx._mm256_setzero_si256(); N];
        for (chunk, asked) in asked.chunks(SUMS).enumerate() {
            let mut short = [avx._mm256_setzero_si256(); N];
            let first = chunk * SUMS / 2;
            for (part, asked) in asked.chunks_exact(2).enumerate() {
                let (low, high): (__m256i, __m256i) = (cast(asked[0]), cast(asked[1]));
                for (short, row) in short.iter_mut().zip(rows) {
                    let part: __m256i = cast(row[first + part]);
                    let lows = avx2._mm256_and_si256(part, lower);
                    let highs = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(part), lower);
                    *short = avx2._mm256_add_epi16(*short, avx2._mm256_maddubs_epi16(lows, low));
                    *short = avx2._mm256_add_epi16(*short, avx2._mm256_maddubs_epi16(highs, high));
                }
            }
            for (sum, short) in sums.iter_mut().zip(short) {
                *sum = avx2._mm256_add_epi32(*sum, avx2._mm256_madd_epi16(short, ones));
            }
        }
        sums.map(|sum| {
            let parts: [i32; 8] = cast(sum);
            parts.iter().sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_gets_the_same_products_also_of_the_largest_numbers() {
        let asked: Vec<i8> = (0..768).map(|n| if n % 97 == 0 { -63 } else { 63 }).collect();
        let rows: Vec<u8> = (0..384 * 300).map(|n| if n % 7 == 0 { (n % 256) as u8 } else { 255 }).collect();
        let (mut fast, mut plain) = ([0.0; 300], [0.0; 300]);
        multiply(Arch::new(), &asked, &rows, &mut fast);
        Multiply { asked: &asked, rows: &rows, products: &mut plain }.call();
        assert_eq!(fast, plain);
        let number = |n: usize| {
            let byte = rows[n / LANES * BYTES + n % BYTES];
            if n % LANES < BYTES { byte & 15 } else { byte >> 4 }
        };
        let first: i32 = (0..768).map(|n| i32::from(number(n)) * i32::from(asked[n])).sum();
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
            assert!((found - expected).abs() < 0.07, "{seen:?}");
        }
    }

    #[test]
    fn a_vector_of_which_little_stands_out_is_near_itself_all_the_same() {
        let mut all = Whole::new(400);
        let mut one = vec![0.0; 400];
        one[399] = 1.0;
        all.push(&one);
        all.push(&[0.05; 400]);
        scan(&all, &one, |_, products| {
            assert!((products[0] - 1.0).abs() < 0.01 && (products[1] - 0.05).abs() < 0.01, "{products:?}");
        });
    }
}
