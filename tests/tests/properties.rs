//! Shapes that are types, against shapes that are lists of numbers.

use plywood::__private::{Conv, Window, conv2d_backward, conv2d_forward, max_pool2d_backward, max_pool2d_forward};
use plywood::Error;
use plywood::dim::ToDim;
use plywood::nn::activation::Pass;
use plywood::prelude::*;
use plywood::tensor::{FromNumel, TryInner};
use proptest::prelude::*;
use typenum::Unsigned;

/// A size agrees with typenum's and comes back from it as the same type.
fn round_trip<N: StaticDim>(_: (N,), size: usize)
where
    N::Num: ToDim<Dim = N>,
{
    assert_eq!(N::SIZE, size, "the size of {:?}", N::default());
    assert_eq!(<N::Num as Unsigned>::USIZE, size, "the typenum number of {:?}", N::default());
    assert_eq!(N::KNOWN, Some(size));
    assert_eq!((N::default(),).sizes(), [size]);
    assert_eq!(N::from_size(size), Some(N::default()));
    assert_eq!(N::from_size(size + 1), None, "{:?} takes another size for its own", N::default());
}

macro_rules! round_trips {
    ($($size:literal)*) => {
        $(round_trip(<Shape![$size]>::default(), $size);)*
    };
}

/// Around every place where a limb is carried.
#[test]
fn sizes_survive_the_way_to_typenum_and_back() {
    round_trips! {
        0 1 2 3 7 8 9 10 13 15 16 17 31 32 33 63 64 65 99 100 101 127 128 255 256 257 500 511 512 513 784 998 999
        1_000 1_001 1_023 1_024 1_025 1_568 1_999 2_000 4_095 4_096 4_097 9_999 10_000 50_257 65_535 65_536 65_537
        99_999 100_000 100_001 999_000 999_001 999_998 999_999
        1_000_000 1_000_001 1_000_999 1_001_000 1_048_575 1_048_576 1_048_577 1_999_999 2_000_000 16_777_216 25_000_007
        100_000_000 123_456_789 500_000_000 987_654_321 999_000_000 999_000_999 999_999_000 999_999_998 999_999_999
    }
}

/// The largest size has a type and a number; there is no way back to it, as the type of 10⁹ is no regular limb.
#[test]
fn the_largest_size() {
    type Largest = Shape![1_000_000_000];
    assert_eq!(Largest::SIZES, [1_000_000_000]);
    fn num<N: StaticDim>(_: (N,)) -> usize {
        <N::Num as Unsigned>::USIZE
    }
    assert_eq!(num(Largest::default()), 1_000_000_000);
}

proptest! {
    /// What the macros write for a constant: limbs below a thousand that make up the number, and no leading zeros.
    #[test]
    fn limbs_make_up_the_number(size in prop_oneof![0..1_000_usize, 0..1_000_000_usize, 0..=1_000_000_000_usize]) {
        use plywood::__private::limb;
        let limbs = [limb::<0>(size), limb::<1>(size), limb::<2>(size)];
        let used: Vec<usize> = limbs.into_iter().filter(|limb| *limb != 1000).collect();
        if size < 1_000_000_000 {
            prop_assert_eq!(used.iter().fold(0, |number, limb| number * 1000 + limb), size);
            prop_assert!(used.len() == 1 || used[0] != 0, "{:?} for {}", limbs, size);
            prop_assert!(limbs[used.len()..].iter().all(|limb| *limb == 1000), "{:?} for {}", limbs, size);
        }
    }
}

/// What a shape's type says: `None` for a size known only at run time.
macro_rules! known {
    (_) => {
        None::<usize>
    };
    ($size:literal) => {
        Some($size)
    };
}

/// Calls `$check!` with each shape's type and its sizes as a list.
macro_rules! each_shape {
    ($check:ident; $([$($size:tt),*])*) => {
        $($check!(Shape![$($size),*], &[$(known!($size)),*]);)*
    };
    ($check:ident) => {
        each_shape! { $check;
            []
            [0] [1] [3] [_]
            [0, 3] [3, 0] [1, 1] [2, 3] [_, 3] [_, 0] [_, 1]
            [2, 3, 4] [_, 3, 2] [_, 1, 1] [3, 1, 2]
            [_, 2, 3, 2] [2, 1, 3, 2]
            [_, 2, 1, 2, 3] [1, 2, 3, 2, 1]
            [_, 1, 2, 1, 2, 3] [2, 1, 2, 1, 2, 1]
        }
    };
}

type Pattern = &'static [Option<usize>];

/// Sizes near those of the pattern: each as it says or any other, in now and then one dimension too many or too few.
fn sizes_near(pattern: Pattern) -> impl Strategy<Value = Vec<usize>> {
    let near: Vec<_> = pattern
        .iter()
        .map(|known| match known {
            Some(size) => prop_oneof![9 => Just(*size), 1 => 0..5_usize].boxed(),
            None => (0..5_usize).boxed(),
        })
        .collect();
    (near, 0..10_usize).prop_map(|(mut sizes, change)| {
        match change {
            0 => sizes.push(1),
            1 => drop(sizes.pop()),
            _ => {}
        }
        sizes
    })
}

fn list<S: Shape>(shape: S) -> Vec<usize> {
    shape.sizes().as_ref().to_vec()
}

fn fits(pattern: Pattern, sizes: &[usize]) -> bool {
    pattern.len() == sizes.len()
        && pattern.iter().zip(sizes).all(|(known, size)| known.is_none_or(|known| known == *size))
}

fn run<T: core::fmt::Debug>(strategy: impl Strategy<Value = T>, check: impl Fn(T) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    if let Err(error) = proptest::test_runner::TestRunner::new(config).run(&strategy, check) {
        panic!("{error}");
    }
}

/// A shape's type takes exactly the sizes that it stands for, and counts as multiplication does.
fn from_sizes<S: Shape>(pattern: Pattern) {
    assert_eq!(S::RANK, pattern.len());
    assert_eq!(S::pattern().0, pattern);
    run(sizes_near(pattern), |sizes| {
        let shape = S::from_sizes(&sizes);
        prop_assert_eq!(shape.is_some(), fits(pattern, &sizes), "{:?} as {}", sizes, S::pattern());
        if let Some(shape) = shape {
            prop_assert_eq!(list(shape), sizes.clone());
            prop_assert_eq!(shape.numel(), sizes.iter().product::<usize>());
        }
        Ok(())
    });
}

#[test]
fn shapes_take_the_sizes_they_stand_for() {
    macro_rules! check {
        ($S:ty, $pattern:expr) => {
            from_sizes::<$S>($pattern)
        };
    }
    each_shape!(check);
}

/// A slice fills a shape exactly when it divides into rows of the sizes that the type knows.
fn from_slice<S: FromNumel>(pattern: Pattern) {
    let row: usize = pattern.iter().skip(1).map(|known| known.expect("only the first is `_`")).product();
    run(0..60_usize, |len| {
        let first = match pattern.first() {
            None => (len == 1).then_some(None),
            Some(Some(first)) => (first * row == len).then_some(Some(*first)),
            Some(None) if row == 0 => (len == 0).then_some(Some(0)),
            Some(None) => (len % row == 0).then_some(Some(len / row)),
        };
        let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let tensor = Tensor::<S>::from_slice(&numbers);
        let view = TensorView::<S>::borrow(&numbers);
        prop_assert_eq!(tensor.is_ok(), first.is_some(), "{} elements as {}", len, S::pattern());
        prop_assert_eq!(view.is_ok(), first.is_some(), "{} elements borrowed as {}", len, S::pattern());
        match (tensor, first) {
            (Ok(tensor), Some(first)) => {
                prop_assert_eq!(list(tensor.shape()), sizes_of(pattern, first));
                prop_assert_eq!(tensor.as_slice(), &numbers[..]);
            }
            (Err(error), None) => {
                prop_assert!(
                    matches!(error, Error::Length { given, .. } | Error::Rows { given, .. } if given == len),
                    "{}",
                    error
                )
            }
            _ => prop_assert!(false),
        }
        Ok(())
    });
}

/// The sizes of a pattern with this first one.
fn sizes_of(pattern: Pattern, first: Option<usize>) -> Vec<usize> {
    first.into_iter().chain(pattern.iter().skip(1).flatten().copied()).collect()
}

#[test]
fn slices_fill_shapes_that_divide_them() {
    macro_rules! check {
        ($S:ty, $pattern:expr) => {
            from_slice::<$S>($pattern)
        };
    }
    each_shape!(check);
}

/// 0, 1, 2, … in the shape.
fn counted<S: Shape>(shape: S) -> Tensor<S, i64> {
    let numbers: Vec<i64> = (0..shape.numel() as i64).collect();
    Tensor::from_slice_of(shape, &numbers).expect("as many as the shape has")
}

/// `get` is the row-major place, and nothing outside.
fn get<S: Shape>(pattern: Pattern, index_of: impl Fn(&[usize]) -> S::Sizes) {
    let index = proptest::collection::vec(0..5_usize, pattern.len());
    let sizes: Vec<_> = pattern.iter().map(|known| known.map_or(0..5, |known| known..known + 1)).collect();
    run((sizes, index), |(sizes, index)| {
        let tensor = counted(S::from_sizes(&sizes).expect("sizes of the pattern"));
        let inside = index.iter().zip(&sizes).all(|(i, size)| i < size);
        let strides = (0..sizes.len()).map(|d| sizes[d + 1..].iter().product::<usize>());
        let place: usize = strides.zip(&index).map(|(stride, i)| stride * i).sum();
        let expected = inside.then_some(place as i64);
        prop_assert_eq!(tensor.get(index_of(&index)), expected, "{:?} of {:?}", index, sizes);
        Ok(())
    });
}

#[test]
fn indices_are_row_major() {
    macro_rules! check {
        ($S:ty, $pattern:expr) => {
            get::<$S>($pattern, |index| index.try_into().expect("one index a dimension"))
        };
    }
    each_shape!(check);
}

/// Rows are the consecutive parts of the memory, as many as the first size says.
fn rows<S: plywood::tensor::Rows>(pattern: Pattern) {
    run(0..5_usize, |dynamic| {
        let sizes: Vec<_> = pattern.iter().map(|known| known.unwrap_or(dynamic)).collect();
        let tensor = counted(S::from_sizes(&sizes).expect("sizes of the pattern"));
        let row: usize = sizes[1..].iter().product();
        prop_assert_eq!(tensor.rows().len(), sizes[0]);
        let parts: Vec<Vec<i64>> = tensor.rows().map(|row| row.to_vec()).collect();
        let expected: Vec<Vec<i64>> =
            (0..sizes[0]).map(|i| (i * row..(i + 1) * row).map(|n| n as i64).collect()).collect();
        prop_assert_eq!(&parts, &expected, "the rows of {:?}", sizes);
        for (i, part) in expected.iter().enumerate() {
            let row = tensor.row(i).expect("a row inside");
            prop_assert_eq!(row.as_slice(), &part[..]);
            prop_assert_eq!(list(row.shape()), sizes[1..].to_vec());
        }
        prop_assert!(tensor.row(sizes[0]).is_none());
        Ok(())
    });
}

#[test]
fn rows_are_the_parts_of_the_first_size() {
    macro_rules! check {
        ($S:ty, $pattern:expr) => {
            rows::<$S>($pattern)
        };
    }
    each_shape! { check;
        [0] [3] [_] [0, 3] [3, 0] [2, 3] [_, 3] [_, 0] [2, 3, 4] [_, 3, 2] [_, 2, 1, 2, 3] [_, 1, 2, 1, 2, 3]
    }
}

/// A tensor takes another shape type exactly when its sizes are those of the type, and keeps every element.
fn try_shape<S: Shape>(pattern: Pattern) {
    fn check<T: Shape, S: Shape>(tensor: &Tensor<T, i64>, pattern: Pattern) -> Result<(), TestCaseError> {
        let sizes = tensor.sizes();
        let got = tensor.try_shape::<S>();
        prop_assert_eq!(got.is_ok(), fits(pattern, sizes.as_ref()), "{:?} as {}", sizes, S::pattern());
        if let Ok(got) = got {
            prop_assert_eq!(list(got.shape()), list(tensor.shape()));
            prop_assert_eq!(got.as_slice(), tensor.as_slice());
        }
        Ok(())
    }
    run(sizes_near(pattern), |sizes| match sizes[..] {
        [] => check::<_, S>(&counted(()), pattern),
        [a] => check::<_, S>(&counted((Dyn(a),)), pattern),
        [a, b] => check::<_, S>(&counted((Dyn(a), Dyn(b))), pattern),
        [a, b, c] => check::<_, S>(&counted((Dyn(a), Dyn(b), Dyn(c))), pattern),
        [a, b, c, d] => check::<_, S>(&counted((Dyn(a), Dyn(b), Dyn(c), Dyn(d))), pattern),
        [a, b, c, d, e] => check::<_, S>(&counted((Dyn(a), Dyn(b), Dyn(c), Dyn(d), Dyn(e))), pattern),
        [a, b, c, d, e, f] => check::<_, S>(&counted((Dyn(a), Dyn(b), Dyn(c), Dyn(d), Dyn(e), Dyn(f))), pattern),
        _ => Ok(()),
    });
}

#[test]
fn shapes_change_type_where_the_sizes_agree() {
    macro_rules! check {
        ($S:ty, $pattern:expr) => {
            try_shape::<$S>($pattern)
        };
    }
    each_shape!(check);
}

/// A product exists exactly when the inner sizes agree, and is the sum over them.
fn product<M: Dim, K: TryInner<J>, J: Dim, N: Dim>(m: M, k: K, j: J, n: N) -> Result<(), TestCaseError> {
    let mut rng = Generator::manual_seed(9);
    let a: Tensor<(M, K), f64> = Tensor::randn_of((m, k), &mut rng);
    let b: Tensor<(J, N), f64> = Tensor::randn_of((j, n), &mut rng);
    match a.try_matmul(&b) {
        Err(error) => {
            prop_assert!(k.size() != j.size(), "{:?} · {:?}: {}", a.sizes(), b.sizes(), error);
            prop_assert!(matches!(error, Error::Shape { .. }), "{}", error);
        }
        Ok(y) => {
            prop_assert_eq!(k.size(), j.size(), "{:?} · {:?} has a product", a.sizes(), b.sizes());
            prop_assert_eq!(y.sizes(), [m.size(), n.size()]);
            for (i, y) in y.iter().enumerate() {
                let (row, col) = (i / n.size(), i % n.size());
                let terms = (0..k.size()).map(|p| a.as_slice()[row * k.size() + p] * b.as_slice()[p * n.size() + col]);
                prop_assert!(
                    (y - terms.sum::<f64>()).abs() < 1e-12,
                    "element {} of {:?} · {:?}",
                    i,
                    a.sizes(),
                    b.sizes()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn products_exist_where_the_inner_sizes_agree() {
    run((0..20_usize, 0..6_usize, 0..6_usize, 0..20_usize), |(m, k, j, n)| {
        product(Dyn(m), Dyn(k), Dyn(j), Dyn(n))?;
        product(Dyn(m), Dyn(k), Dyn(k), Dyn(n))?;
        product(Dyn(m), D::<3>, Dyn(j), Dyn(n))?;
        product(D::<17>, Dyn(k), D::<4>, D::<13>)?;
        product(Dyn(m), D::<13>, D::<13>, Dyn(n))
    });
    product(D::<1>, D::<1>, D::<1>, D::<1>).unwrap();
    product(D::<33>, D::<17>, D::<17>, D::<7>).unwrap();
    product(D::<33>, D::<0>, D::<0>, D::<7>).unwrap();
}

/// The number of elements of sizes known only at run time is that of the slice, or nothing is made of it.
#[test]
fn slices_of_another_length_are_refused() {
    run((0..5_usize, 0..5_usize, 0..30_usize), |(a, b, len)| {
        let tensor = Tensor::from_slice_of((Dyn(a), Dyn(b)), &vec![0.0f32; len]);
        prop_assert_eq!(tensor.is_ok(), a * b == len, "{} elements as [{}, {}]", len, a, b);
        Ok(())
    });
}

/// Windows that fit: planes, kernel, stride, padding, dilation.
fn windows() -> impl Strategy<Value = Window> {
    let pair = |low: usize, high: usize| (low..=high, low..=high);
    (pair(1, 9), pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 3))
        .prop_map(|(input, kernel, stride, padding, dilation)| Window { input, kernel, stride, padding, dilation })
        .prop_filter("the kernel fits", |w| {
            let fits = |n: usize, k: usize, p: usize, d: usize| n + 2 * p > d * (k - 1);
            fits(w.input.0, w.kernel.0, w.padding.0, w.dilation.0)
                && fits(w.input.1, w.kernel.1, w.padding.1, w.dilation.1)
        })
}

/// The element of the plane under position `(ky, kx)` of the window at `(oy, ox)`; `None` in the padding.
fn under(w: &Window, (oy, ox): (usize, usize), (ky, kx): (usize, usize)) -> Option<usize> {
    let row = (oy * w.stride.0 + ky * w.dilation.0).checked_sub(w.padding.0).filter(|row| *row < w.input.0)?;
    let column = (ox * w.stride.1 + kx * w.dilation.1).checked_sub(w.padding.1).filter(|column| *column < w.input.1)?;
    Some(row * w.input.1 + column)
}

fn grid((height, width): (usize, usize)) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..height).flat_map(move |row| (0..width).map(move |column| (row, column)))
}

fn normal(len: usize, rng: &mut Generator) -> Vec<f64> {
    (0..len).map(|_| rng.normal()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    /// A convolution is its definition, and its gradients are the adjoint maps: for any x, w and dy,
    /// ⟨dy, w ⋆ x⟩ = ⟨dx, x⟩ = ⟨dw, w⟩.
    #[test]
    fn convolutions_are_their_definition(
        window in windows(), (batch, from, to) in (0..4_usize, 1..4_usize, 1..6_usize), seed in any::<u64>(),
    ) {
        let conv = Conv { in_channels: from, out_channels: to, window };
        let (taken, given) = (window.input.0 * window.input.1, window.output().0 * window.output().1);
        let area = window.kernel.0 * window.kernel.1;
        let rng = &mut Generator::manual_seed(seed);
        let (x, w, b) = (normal(batch * from * taken, rng), normal(to * from * area, rng), normal(to, rng));
        let mut y = vec![f64::NAN; batch * to * given];
        conv2d_forward::<f64, Pass>(&x, &w, Some(&b), &mut y, &mut [], batch, &conv);
        for (i, y) in y.iter().enumerate() {
            let (place, o, n) = (i % given, i / given % to, i / given / to);
            let place = (place / window.output().1, place % window.output().1);
            let mut sum = b[o];
            for c in 0..from {
                for (k, position) in grid(window.kernel).enumerate() {
                    let at = under(&window, place, position);
                    sum += at.map_or(0.0, |at| w[(o * from + c) * area + k] * x[(n * from + c) * taken + at]);
                }
            }
            prop_assert!((y - sum).abs() < 1e-12 * (1.0 + sum.abs()), "{window:?}: output {i} is {y}, not {sum}");
        }
        let dy = normal(y.len(), rng);
        let (mut dx, mut dw, mut db) = (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()], vec![f64::NAN; to]);
        let (mut used, dx_of) = (dy.clone(), Some(&mut dx[..]));
        conv2d_backward::<f64, Pass>(&x, &w, &y, &mut used, dx_of, &mut dw, Some(&mut db), batch, &conv);
        let along = dot(&dy, &y) - dot(&db, &b);
        prop_assert!((dot(&dx, &x) - along).abs() < 1e-9 * (1.0 + along.abs()), "{window:?}: dx");
        prop_assert!((dot(&dw, &w) - along).abs() < 1e-9 * (1.0 + along.abs()), "{window:?}: dw");
    }

    /// A pooling gives the largest number under each place of its window, and the gradient goes where that one was.
    #[test]
    fn poolings_are_their_definition(
        window in windows().prop_filter("half", |w| 2 * w.padding.0 <= w.kernel.0 && 2 * w.padding.1 <= w.kernel.1),
        planes in 0..5_usize, seed in any::<u64>(),
    ) {
        let window = Window { dilation: (1, 1), ..window };
        let (taken, given) = (window.input.0 * window.input.1, window.output().0 * window.output().1);
        let rng = &mut Generator::manual_seed(seed);
        let x: Vec<f64> = (0..planes * taken).map(|_| rng.below(5) as f64).collect();
        let (mut y, mut indices) = (vec![f64::NAN; planes * given], vec![0; planes * given]);
        max_pool2d_forward(&x, &mut y, &mut indices, planes, &window);
        let dy = normal(y.len(), rng);
        let (mut dx, mut expected) = (vec![f64::NAN; x.len()], vec![0.0; x.len()]);
        max_pool2d_backward(&indices, &dy, &mut dx, planes, &window);
        for (i, y) in y.iter().enumerate() {
            let place = (i % given / window.output().1, i % given % window.output().1);
            let seen = grid(window.kernel).filter_map(|position| under(&window, place, position));
            let seen = seen.map(|at| i / given * taken + at);
            let largest = seen.clone().map(|at| x[at]).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(*y, largest, "{:?}: output {}", window, i);
            let first = seen.clone().find(|at| x[*at] == largest).expect("a number under each place");
            expected[first] += dy[i];
        }
        for (dx, expected) in dx.iter().zip(&expected) {
            prop_assert!((dx - expected).abs() < 1e-12, "{window:?}: {dx} against {expected}");
        }
    }
}
