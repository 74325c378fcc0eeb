//! Every instruction set of the machine at hand against the definition, over many geometries.

use super::*;
use crate::generator::Generator;
use crate::nn::activation::{GELU, Pass, ReLU};

/// Sums over all outputs, channels and taps that meet a pixel: `f(output, input, weight)`, as indices into their slices.
fn for_each_product(batch: usize, conv: &Conv, mut f: impl FnMut(usize, usize, usize)) {
    let Window { input, kernel, stride, padding, dilation } = conv.window;
    let (height, width) = conv.window.output();
    for image in 0..batch * conv.out_channels * height * width {
        let (j, i) = (image % width, image / width % height);
        let (o, n) = (image / width / height % conv.out_channels, image / width / height / conv.out_channels);
        for term in 0..conv.in_channels * kernel.0 * kernel.1 {
            let (l, k) = (term % kernel.1, term / kernel.1 % kernel.0);
            let c = term / kernel.1 / kernel.0;
            let row = (i * stride.0 + k * dilation.0).wrapping_sub(padding.0);
            let column = (j * stride.1 + l * dilation.1).wrapping_sub(padding.1);
            if row < input.0 && column < input.1 {
                let x = ((n * conv.in_channels + c) * input.0 + row) * input.1 + column;
                f(image, x, o * conv.in_channels * kernel.0 * kernel.1 + term);
            }
        }
    }
}

/// What lies around every slice: who reads it has NaN in the result, and who writes it is found.
const MARGIN: usize = 70;

/// A slice in the middle of NaNs.
struct Guarded<E>(Vec<E>);

impl<E: Float> Guarded<E> {
    fn new(values: &[f64]) -> Self {
        let margin = || core::iter::repeat_n(E::nan(), MARGIN);
        Guarded(margin().chain(values.iter().map(|x| E::of(*x))).chain(margin()).collect())
    }

    fn slice(&mut self) -> &mut [E] {
        let end = self.0.len() - MARGIN;
        &mut self.0[MARGIN..end]
    }

    fn assert_eq(&mut self, expected: &[f64], what: &str) {
        let len = self.0.len();
        assert!(self.0[..MARGIN].iter().chain(&self.0[len - MARGIN..]).all(|x| x.is_nan()), "{what}: written outside");
        assert_eq!(self.slice().len(), expected.len());
        for (i, (x, expected)) in self.slice().iter().zip(expected).enumerate() {
            let x = x.to_f64().unwrap();
            assert!(
                (x - expected).abs() <= 1e-5 * expected.abs() + 1e-12,
                "{what}: element {i} is {x}, not {expected}"
            );
        }
    }
}

/// Compares with the definition in f64, with and without biases, an activation and a gradient of the input.
fn check<E: Float, A: Activation>(isa: Isa, batch: usize, conv: &Conv, rng: &mut Generator, extras: bool) {
    let (input, output, weights) = conv.sizes();
    let what = format!("{isa:?}, {}, {}, {} of {conv:?}", E::DTYPE, A::KIND, batch);
    // Small integers: every sum is exact, so a single wrong or missing term shows.
    let mut draw = |len: usize| -> Vec<f64> { (0..len).map(|_| (rng.normal::<f64>() * 3.0).round()).collect() };
    let (x, w, b, dy) = (draw(batch * input), draw(weights), draw(conv.out_channels), draw(batch * output));
    let area = output / conv.out_channels.max(1);
    let mut pre: Vec<f64> = (0..dy.len()).map(|i| if extras { b[i / area % conv.out_channels] } else { 0.0 }).collect();
    for_each_product(batch, conv, |y, i, k| pre[y] += x[i] * w[k]);
    let y: Vec<f64> = pre.iter().map(|x| A::forward(*x)).collect();
    let slopes: Vec<f64> = if A::FROM_OUTPUT { &y } else { &pre }.iter().map(|v| A::derivative(*v)).collect();
    let kept: &[f64] = if A::FROM_OUTPUT { &[] } else { &slopes };
    let v = if A::FROM_OUTPUT { &y } else { &slopes };
    let dz: Vec<f64> = dy.iter().zip(&slopes).map(|(dy, slope)| dy * slope).collect();
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; weights], vec![0.0; conv.out_channels]);
    for_each_product(batch, conv, |y, i, k| {
        dx[i] += dz[y] * w[k];
        dw[k] += dz[y] * x[i];
    });
    dz.iter().enumerate().for_each(|(i, dz)| db[i / area % conv.out_channels] += dz);

    let mut guarded = [&x, &w, &b, v, &dy].map(|values| Guarded::<E>::new(values));
    let [x, w, b, v, dy] = guarded.each_mut().map(|guarded| guarded.slice());
    let nans = |len: usize| Guarded::<E>::new(&vec![f64::NAN; len]);
    let (mut out, mut out_slopes) = (nans(v.len()), nans(kept.len()));
    forward::<E, A>(isa, x, w, extras.then_some(b), out.slice(), out_slopes.slice(), batch, conv);
    out.assert_eq(&y, &format!("{what}, y"));
    out_slopes.assert_eq(kept, &format!("{what}, slopes"));
    let (mut out_dx, mut out_dw, mut out_db) = (nans(x.len()), nans(w.len()), nans(db.len()));
    let (some_dx, some_db) = (extras.then(|| out_dx.slice()), extras.then(|| out_db.slice()));
    backward::<E, A>(isa, x, w, v, dy, some_dx, out_dw.slice(), some_db, batch, conv);
    out_dw.assert_eq(&dw, &format!("{what}, dw"));
    if extras {
        out_dx.assert_eq(&dx, &format!("{what}, dx"));
        out_db.assert_eq(&db, &format!("{what}, db"));
    }
    guarded[4].assert_eq(&dz, &format!("{what}, dy"));
}

fn check_all(batch: usize, channels: (usize, usize), window: Window, rng: &mut Generator) {
    let conv = Conv { in_channels: channels.0, out_channels: channels.1, window };
    for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
        check::<f32, ReLU>(isa, batch, &conv, rng, true);
        check::<f64, Pass>(isa, batch, &conv, rng, true);
        check::<f32, Pass>(isa, batch, &conv, rng, false);
    }
}

fn square(input: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Window {
    let [input, kernel, stride, padding, dilation] = [input, kernel, stride, padding, dilation].map(|x| (x, x));
    Window { input, kernel, stride, padding, dilation }
}

#[test]
fn kernels_strides_paddings_and_dilations() {
    let mut rng = Generator::manual_seed(0);
    for input in [1, 5, 8, 14] {
        for kernel in [1, 2, 3, 5] {
            for stride in [1, 2, 3] {
                for padding in [0, 1, 3] {
                    for dilation in [1, 2, 3] {
                        let window = square(input, kernel, stride, padding, dilation);
                        check_all(2, (2, 3), window, &mut rng);
                    }
                }
            }
        }
    }
}

#[test]
fn channels_and_batches() {
    let mut rng = Generator::manual_seed(1);
    for inputs in [1, 3, 8, 16, 17, 40] {
        for outputs in [1, 6, 7, 16, 17] {
            for batch in [0, 1, 5] {
                check_all(batch, (inputs, outputs), square(9, 3, 1, 1, 1), &mut rng);
            }
        }
    }
    // More images than parts.
    check_all(37, (2, 3), square(5, 3, 1, 1, 1), &mut rng);
}

#[test]
fn rectangles() {
    let mut rng = Generator::manual_seed(2);
    for (input, kernel) in
        [((5, 19), (1, 3)), ((19, 5), (3, 1)), ((33, 8), (5, 2)), ((1, 40), (1, 7)), ((6, 6), (6, 6))]
    {
        for (stride, padding, dilation) in
            [((1, 1), (0, 0), (1, 1)), ((2, 1), (0, 1), (1, 1)), ((1, 3), (2, 0), (1, 2)), ((3, 2), (1, 4), (2, 1))]
        {
            check_all(3, (4, 9), Window { input, kernel, stride, padding, dilation }, &mut rng);
        }
    }
}

/// The border is wider than the kernel; the kernel is larger than the image; pixels that no window reaches.
#[test]
fn odd_places() {
    let mut rng = Generator::manual_seed(3);
    for window in [square(3, 1, 1, 2, 1), square(3, 2, 2, 5, 1), square(2, 5, 1, 1, 1), square(11, 2, 5, 0, 1)] {
        check_all(2, (17, 3), window, &mut rng);
    }
}

#[test]
fn random_geometries() {
    let mut rng = Generator::manual_seed(4);
    for _ in 0..60 {
        let mut draw = |most: usize| rng.below(most);
        let mut pair = |most: usize, least: usize| (least + draw(most), least + draw(most));
        let window = Window {
            input: pair(24, 1),
            kernel: pair(5, 1),
            stride: pair(4, 1),
            padding: pair(4, 0),
            dilation: pair(3, 1),
        };
        let (batch, channels) = (pair(3, 1).0, pair(20, 1));
        check_all(batch, channels, window, &mut rng);
    }
}

/// Weights that do not stay in a cache, results in several strips, and a window too large to be turned at once.
#[test]
fn large_sizes() {
    let mut rng = Generator::manual_seed(5);
    for (channels, window) in
        [((130, 70), square(6, 3, 1, 1, 1)), ((2, 40), square(70, 3, 1, 1, 1)), ((8, 8), square(12, 12, 1, 6, 1))]
    {
        let conv = Conv { in_channels: channels.0, out_channels: channels.1, window };
        for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
            check::<f32, ReLU>(isa, 3, &conv, &mut rng, true);
        }
    }
}

/// An activation whose derivative takes its input, which is kept.
#[test]
fn activations_that_keep_their_input() {
    let mut rng = Generator::manual_seed(6);
    let conv = Conv { in_channels: 3, out_channels: 4, window: square(7, 3, 1, 1, 1) };
    check::<f64, GELU>(Isa::best(), 2, &conv, &mut rng, true);
    check::<f64, GELU>(Isa::Portable, 2, &conv, &mut rng, true);
}

/// The same bits whatever the number of threads, though sums of real numbers depend on their order.
#[test]
fn threads_change_nothing() {
    // Few channels, and so many that the sums of the weights' gradient are divided between the threads.
    for (channels, size, batch) in [((5, 12), 20, 21), ((64, 64), 8, 5), ((96, 130), 7, 9)] {
        let mut rng = Generator::manual_seed(7);
        let conv = Conv { in_channels: channels.0, out_channels: channels.1, window: square(size, 3, 1, 1, 1) };
        let (input, output, weights) = conv.sizes();
        let mut draw = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.normal::<f32>()).collect() };
        let (x, w, b, dy) = (draw(batch * input), draw(weights), draw(conv.out_channels), draw(batch * output));
        let before = pool::num_threads();
        let results = [1, 2, 5].map(|threads| {
            pool::set_num_threads(threads).unwrap();
            let mut y = vec![0.0; dy.len()];
            conv2d_forward::<f32, ReLU>(&x, &w, Some(&b), &mut y, &mut [], batch, &conv);
            let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; b.len()]);
            let mut dy = dy.clone();
            conv2d_backward::<f32, ReLU>(&x, &w, &y, &mut dy, Some(&mut dx), &mut dw, Some(&mut db), batch, &conv);
            (y, dx, dw, db)
        });
        pool::set_num_threads(before).unwrap();
        assert!(results[0].2.iter().any(|x| *x != 0.0));
        assert!(results.iter().all(|result| *result == results[0]), "{channels:?}");
    }
}

#[test]
#[should_panic(expected = "not of their convolution's sizes")]
fn an_image_too_short_panics() {
    let conv = Conv { in_channels: 1, out_channels: 1, window: square(3, 3, 1, 0, 1) };
    conv2d_forward::<f32, Pass>(&[0.0; 8], &[0.0; 9], None, &mut [0.0], &mut [], 1, &conv);
}
