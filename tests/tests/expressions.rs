//! Expressions as sizes, options and entries: the macros read only the simplest of them, and pass on the others whole.

use plywood::prelude::*;

const HIDDEN: usize = 4;

const fn product<const A: usize, const B: usize>() -> usize {
    A * B
}

struct Pair<A, B>(A, B);

impl<A: Copy, B: Copy> Pair<A, B> {
    const LEN: usize = 2;

    fn first(&self) -> A {
        self.0
    }
}

#[test]
#[allow(clippy::redundant_closure_call)]
fn entries() {
    let (on, xs) = (true, [4.0, 5.0]);
    let x: Tensor<Shape![4, 3]> = tensor![
        [-1.5, (2.0), { 3.0 }],
        [if on { 1.0 } else { 2.0 }, xs[1], [6.0, 7.0][0]],
        [product::<2, 3>() as f32, <Pair<f32, u8>>::LEN as f32, Pair::<f32, u8>(8.0, 1).first()],
        [
            (|a: f32, b: f32| a + b)(1.0, 2.0),
            2.0 * { 1.0 } - -1.0,
            match on {
                true => 9.0,
                false => 0.0,
            },
        ],
    ];
    assert_eq!(x.as_slice(), [-1.5, 2.0, 3.0, 1.0, 5.0, 6.0, 6.0, 2.0, 8.0, 3.0, 3.0, 9.0]);
    let compared: Tensor<Shape![3], bool> = tensor![1 < 2, on && 2 <= 1, !on];
    assert_eq!(compared.as_slice(), [true, false, false]);
}

sequential! {
    #[derive(Clone)]
    pub(crate) struct Sizes: ({ 2 * HIDDEN }) => 1 {
        Linear(2 * HIDDEN, product::<2, 3>()),
        Linear({ HIDDEN + 2 }, const { HIDDEN - 1 }),
        Linear((3), if HIDDEN > 3 { 2 } else { 1 }),
        Linear(<Pair<u8, u8>>::LEN, HIDDEN as usize / 4),
        LeakyReLU(negative_slope = 1.0 / 4.0),
    }
}

sequential! {
    struct Chosen<N: StaticDim, M: Copy = D<3>>
    where
        M: StaticDim + Into<M>,
    {
        Linear(N, M),
        Linear(M, N),
    }
}

#[test]
fn sizes() {
    assert_eq!(Sizes::PARAMS, 8 * 6 + 6 + 6 * 3 + 3 + 3 * 2 + 2 + 2 + 1);
    let sizes = Sizes::init(&mut Generator::manual_seed(0)).clone();
    assert_eq!(sizes.forward(&Tensor::<Shape![5, 8]>::zeros()).sizes(), [5, 1]);
    assert_eq!(Chosen::<D<2>>::PARAMS, 2 * 3 + 3 + 3 * 2 + 2);
    let x: Tensor<Shape![{ HIDDEN / 2 }, product::<1, 2>()]> = Tensor::zeros();
    assert_eq!(Chosen::<Size![2]>::init(&mut Generator::manual_seed(0)).forward(&x).sizes(), [2, 2]);
}
