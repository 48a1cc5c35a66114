//! Dot products of small whole numbers, with what the processor has for them. The only module that
//! names pulp.
//!
//! On x86-64 with AVX2 (asked of the processor at run time) sixteen products are added at once. Any
//! other processor runs plain code, which the compiler vectorises as far as every processor of its
//! kind can.

/// Adds to `out` the product of `query` with each row. `rows` holds one row after the other, each as
/// long as the query; the caller sees to it that no sum leaves 32 bits.
pub(super) fn dots(query: &[i16], rows: &[i8], out: &mut Vec<i32>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return simd.vectorize(Wide { simd, query, rows, out });
    }
    plain(query, rows, out);
}

fn plain(query: &[i16], rows: &[i8], out: &mut Vec<i32>) {
    let rows = rows.chunks_exact(query.len().max(1));
    out.extend(rows.map(|row| remainder(query, row)));
}

fn remainder(query: &[i16], row: &[i8]) -> i32 {
    row.iter().zip(query).map(|(&one, &other)| i32::from(one) * i32::from(other)).sum()
}

#[cfg(target_arch = "x86_64")]
struct Wide<'a> {
    simd: pulp::x86::V3,
    query: &'a [i16],
    rows: &'a [i8],
    out: &'a mut Vec<i32>,
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Wide<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let avx2 = self.simd.avx2;
        let (query, query_end) = self.query.as_chunks::<16>();
        for row in self.rows.chunks_exact(self.query.len().max(1)) {
            let (row, row_end) = row.as_chunks::<16>();
            let mut sums = pulp::cast([0_i32; 8]);
            for (one, other) in row.iter().zip(query) {
                let one = avx2._mm256_cvtepi8_epi16(pulp::cast(*one));
                let products = avx2._mm256_madd_epi16(one, pulp::cast(*other));
                sums = avx2._mm256_add_epi32(sums, products);
            }
            let sums: [i32; 8] = pulp::cast(sums);
            self.out.push(sums.iter().sum::<i32>() + remainder(query_end, row_end));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the processor has, the sums are those of plain whole numbers.
        #[test]
        fn sums_are_exact(
            query in prop::collection::vec(any::<i16>(), 1..70),
            numbers in prop::collection::vec(any::<i8>(), 0..400),
        ) {
            let rows = &numbers[..numbers.len() / query.len() * query.len()];
            let (mut fast, mut simple) = (Vec::new(), Vec::new());
            dots(&query, rows, &mut fast);
            plain(&query, rows, &mut simple);
            prop_assert_eq!(&fast, &simple);
            prop_assert_eq!(fast.len(), numbers.len() / query.len());
        }
    }
}
