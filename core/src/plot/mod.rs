//! Figures of trainings, as SVG and PNG: take it in with the feature `plot`.
//!
//! | Figure | What it shows |
//! |---|---|
//! | [`Chart`] | points and lines over two axes: a regression, activations, the losses of a training |
//! | [`DecisionSurface`] | what a classifier says at each point of a plane, with the samples on it |
//! | [`Confusion`] | a confusion matrix |
//! | [`ImageGrid`] | images of one channel, each with a caption |
//! | [`Panels`] | several figures side by side |
//!
//! ```
//! use plywood::plot::{Chart, Plot};
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![_]> = Tensor::from_vec((0..100).map(|i| i as f32 / 10.0).collect())?;
//! let figure = Chart::new("Two waves", "x", "y").line("sine", &x, &x.map(|x| x.sin())).line("cosine", &x, &x.map(|x| x.cos()));
//! # let folder = std::env::temp_dir().join(format!("plywood-doc-plot-{}", std::process::id()));
//! figure.save(folder.join("waves.svg"))?;
//! figure.save(folder.join("waves.png"))?;
//! # assert!(std::fs::read(folder.join("waves.png")).unwrap().starts_with(b"\x89PNG"));
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! Colours are those of Okabe and Ito, which differ for every kind of colour vision, and lines and points differ in
//! dashes and form, too. Legends stand beside the data, never on it. A PNG is drawn with a font that comes with the crate
//! (DejaVu Sans), so no machine needs fonts of its own; an SVG names `sans-serif`.

mod chart;
mod confusion;
mod images;
mod panels;
mod style;
mod surface;

pub use chart::Chart;
pub use confusion::Confusion;
pub use images::ImageGrid;
pub use panels::Panels;
pub use surface::DecisionSurface;

use crate::element::Numeric;
use crate::error::{Error, Result};
use crate::tensor::{Storage, Tensor};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::WHITE;
use resvg::{tiny_skia, usvg};
use std::path::Path;
use std::sync::Arc;

/// What figures are drawn on and what can go wrong there: for this crate alone.
mod draw {
    use plotters::backend::SVGBackend;
    use plotters::coord::Shift;
    use plotters::drawing::DrawingArea;

    pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
    /// `Err` is a sentence.
    pub(super) type Drawn = Result<(), String>;

    pub trait Draw {
        fn title(&self) -> &str;
        /// Width and height in pixels.
        fn size(&self) -> (u32, u32);
        fn draw(&self, area: &Area<'_>) -> Drawn;
    }
}

use draw::{Draw, Drawn};

/// A figure that can be drawn.
pub trait Plot: Draw {
    /// The figure as the text of an SVG file.
    ///
    /// # Errors
    /// If it was given nothing to draw, numbers that are not finite, or lists that do not belong together.
    ///
    /// ```
    /// use plywood::plot::{Chart, Plot};
    ///
    /// let svg = Chart::new("Squares", "x", "x²").points("measured", &[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]).svg()?;
    /// assert!(svg.starts_with("<svg") && svg.contains("measured"));
    ///
    /// let wrong = Chart::new("Squares", "x", "x²").points("measured", &[1.0, 2.0], &[1.0]).svg().unwrap_err();
    /// assert_eq!(wrong.to_string(), "the figure `Squares` cannot be drawn: `measured` has 2 numbers in x, but 1 in y");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn svg(&self) -> Result<String> {
        let error = |message| Error::Figure { figure: self.title().to_owned(), message };
        style::register_font().map_err(error)?;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, self.size()).into_drawing_area();
            area.fill(&WHITE).map_err(style::text).map_err(error)?;
            self.draw(&area).map_err(error)?;
            area.present().map_err(style::text).map_err(error)?;
        }
        Ok(svg)
    }

    /// Writes the figure into a file, as its extension says: `.svg` or `.png`. Folders that do not exist are made.
    ///
    /// # Errors
    /// As [`svg`](Plot::svg), and if the extension is another one or the file cannot be written.
    ///
    /// ```
    /// use plywood::plot::{Chart, Plot};
    ///
    /// let wrong = Chart::new("", "x", "y").line("", &[0.0, 1.0], &[0.0, 1.0]).save("figure.gif").unwrap_err();
    /// assert_eq!(wrong.to_string(), "the file of a figure is figure.gif, but must be named *.svg or *.png");
    /// ```
    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        let bytes = match extension.as_deref() {
            Some("svg") => self.svg()?.into_bytes(),
            Some("png") => {
                png(&self.svg()?).map_err(|message| Error::Figure { figure: self.title().to_owned(), message })?
            }
            _ => {
                return Err(Error::Setting {
                    what: "the file of a figure",
                    given: path.display().to_string(),
                    expected: "named *.svg or *.png",
                });
            }
        };
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, bytes)
        };
        write().map_err(|source| Error::Io { file: path.to_owned(), source })
    }
}

impl<T: Draw> Plot for T {}

/// The pixels of an SVG, with the font of this crate and no other.
fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(style::FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size();
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("it is too large for a PNG")?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

/// Lists of numbers that a figure can show: tensors, slices, vectors and arrays of any element type.
///
/// ```
/// use plywood::plot::Chart;
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![3]> = tensor![0.0, 1.0, 2.0];
/// let chart = Chart::new("", "x", "y").points("of any kind", &x, &vec![0i64, 1, 4]);
/// ```
pub trait Numbers {
    /// The numbers, first to last.
    ///
    /// ```
    /// use plywood::plot::Numbers;
    ///
    /// assert_eq!([1u8, 2].numbers(), [1.0, 2.0]);
    /// ```
    fn numbers(&self) -> Vec<f64>;
}

impl<S: crate::Shape, E: Numeric, B: Storage<E>> Numbers for Tensor<S, E, B> {
    fn numbers(&self) -> Vec<f64> {
        self.read().numbers()
    }
}

impl<E: Numeric> Numbers for [E] {
    fn numbers(&self) -> Vec<f64> {
        self.iter().map(|x| x.to_f64().unwrap_or(f64::NAN)).collect()
    }
}

impl<E: Numeric> Numbers for Vec<E> {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

impl<E: Numeric, const N: usize> Numbers for [E; N] {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

/// `Err` if a number is NaN or infinite.
fn finite(name: &str, numbers: &[f64]) -> Drawn {
    match numbers.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(format!("number {at} of `{name}` is {}, which is not finite", numbers[at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn message(figure: &impl Plot) -> String {
        figure.svg().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        assert!(message(&Chart::new("C", "x", "y")).ends_with("there is nothing to draw: give it points or a line"));
        assert!(message(&Panels::new("P", 2)).ends_with("give it panels"));
        assert!(message(&ImageGrid::new("I", 2)).ends_with("give it images"));
        let nan = Chart::new("C", "x", "y").line("wave", &[0.0, 1.0], &[0.0, f64::NAN]);
        assert_eq!(message(&nan), "the figure `C` cannot be drawn: number 1 of `wave` is NaN, which is not finite");
        assert!(message(&Panels::new("P", 2).panel(nan)).contains("in `C`, number 1 of `wave`"));

        let x: Tensor<Shape![2, 2]> = Tensor::zeros();
        let three = |points: &Tensor<Shape![_, 2]>| Tensor::<Shape![_, 3]>::zeros_of((points.shape().0, D));
        let surface = |labels: &[i64]| DecisionSurface::new("S", &x, labels, three);
        assert!(surface(&[0, 2]).svg().is_ok());
        assert!(message(&surface(&[0, 3])).ends_with("label 1 is 3, but there are 3 classes (0 to 2)"));
        assert!(message(&surface(&[0])).ends_with("there are 2 samples, but 1 labels"));
        assert!(message(&surface(&[0, 1]).names(&["a", "b"])).ends_with("there are 3 classes, but 2 names"));
    }

    #[test]
    fn a_png_has_its_words_without_any_font_of_the_machine() {
        let dark = |svg: &str| {
            let png = png(svg).unwrap();
            let pixels = tiny_skia::Pixmap::decode_png(&png).unwrap();
            pixels.pixels().iter().filter(|pixel| pixel.red() < 100).count()
        };
        let svg = |words: &str| Chart::new(words, "x", "y").line("", &[0.0, 1.0], &[0.0, 1.0]).svg().unwrap();
        assert!(dark(&svg("Words in a title")) > dark(&svg("")) + 500);
    }

    #[test]
    fn figures_of_one_point_one_class_and_even_images_are_drawn() {
        assert!(Chart::new("", "x", "y").points("one", &[1.0], &[5.0]).svg().is_ok());
        assert!(ImageGrid::new("", 3).image("even", &Tensor::<Shape![4, 2]>::ones()).svg().is_ok());
        let matrix = ConfusionMatrix::new(&Tensor::<Shape![2, 1]>::ones(), &tensor![0, 0]).unwrap();
        assert!(Confusion::new("", &matrix).svg().is_ok());
    }

    #[test]
    fn lines_of_no_name_are_grey_beside_named_ones() {
        let x = [0.0, 1.0];
        let alone = Chart::new("", "x", "y").line("", &x, &x);
        let first = alone.svg().unwrap();
        assert!(first.contains("#0072B2") && !first.contains("#A0A0A0"), "{first}");
        let second = alone.line("named", &x, &[1.0, 0.0]).svg().unwrap();
        assert!(second.contains("#0072B2") && second.contains("#A0A0A0") && !second.contains("#D55E00"), "{second}");
    }

    #[test]
    fn a_legend_that_does_not_fit_into_a_row_takes_another() {
        let mut chart = Chart::new("", "x", "y");
        for number in 0..12 {
            chart = chart.line(&format!("a series of number {number}"), &[0.0, 1.0], &[0.0, f64::from(number)]);
        }
        let svg = chart.svg().unwrap();
        let width = chart.size().0;
        let of_legend = svg.split("<text ").filter(|text| text.contains("a series"));
        let lefts: Vec<u32> = of_legend
            .map(|text| text.split("x=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(lefts.len(), 12);
        assert!(lefts.iter().all(|left| *left + 200 < width), "{lefts:?}");
    }
}
