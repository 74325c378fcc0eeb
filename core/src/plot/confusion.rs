use super::draw::{Area, Draw, Drawn};
use super::style;
use crate::dim::StaticDim;
use crate::train::ConfusionMatrix;
use plotters::element::Rectangle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, FontTransform};

/// A [`ConfusionMatrix`] as a picture: rows are what the samples are, columns what was predicted.
///
/// Each cell has its count; it is the darker, the larger its share of the row.
///
/// ```
/// use plywood::plot::{Confusion, Plot};
/// use plywood::prelude::*;
///
/// let logits: Tensor<Shape![3, 2]> = tensor![[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]];
/// let matrix = ConfusionMatrix::new(&logits, &tensor![0, 1, 1])?.with_names(&["cat", "dog"])?;
/// assert!(Confusion::new("Pets", &matrix).svg()?.contains("predicted"));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Confusion {
    title: String,
    names: Vec<String>,
    /// [actual, predicted], row-major.
    counts: Vec<usize>,
}

const SIDE: i32 = 760;

impl Confusion {
    /// The figure of a matrix.
    #[must_use]
    pub fn new<C: StaticDim>(title: &str, matrix: &ConfusionMatrix<C>) -> Self {
        let names = match matrix.names() {
            [] => (0..C::SIZE).map(|class| class.to_string()).collect(),
            names => names.to_vec(),
        };
        let counts = (0..C::SIZE * C::SIZE).map(|i| matrix.get(i / C::SIZE, i % C::SIZE).unwrap_or(0)).collect();
        Confusion { title: title.to_owned(), names, counts }
    }
}

impl Draw for Confusion {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        (1080, 940)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let classes = self.names.len();
        if classes == 0 {
            return Err("there is nothing to draw: the matrix has no classes".to_owned());
        }
        let area = style::heading(area, &self.title, style::TITLE)?;
        let (width, height) = area.dim_in_pixel();
        let (width, height) = (width as i32, height as i32);
        let cell = (SIDE.min(width - 240).min(height - 96) / classes as i32).max(1);
        let side = cell * classes as i32;
        let (left, top) = ((width - side + 150) / 2, 12);
        // The names where they fit, and numbers where they do not.
        let widest = self.names.iter().map(|name| style::width_of(&area, name, style::TICK));
        let widest = widest.collect::<Result<Vec<i32>, String>>()?.into_iter().max().unwrap_or(0);
        let size = style::TICK.min(cell as u32 * 5 / 8).max(8);
        let write = |words: &str, size, colour, h, at| {
            area.draw_text(words, &style::font(size, colour, h, VPos::Center), at).map_err(style::text)
        };
        let fits = widest < left - 70;
        for actual in 0..classes {
            let row = &self.counts[actual * classes..][..classes];
            let samples = row.iter().sum::<usize>().max(1);
            let y = top + cell * actual as i32;
            for (predicted, count) in row.iter().enumerate() {
                let x = left + cell * predicted as i32;
                let share = *count as f64 / samples as f64;
                let fill = style::tint(style::colour(0), share).filled();
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], fill)).map_err(style::text)?;
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], style::GRID.stroke_width(1)))
                    .map_err(style::text)?;
                if *count > 0 {
                    let ink = if share > 0.6 { style::PAPER } else { style::INK };
                    write(&count.to_string(), size, ink, HPos::Center, (x + cell / 2, y + cell / 2))?;
                }
            }
            let name = if fits { self.names[actual].clone() } else { actual.to_string() };
            write(&name, size, style::INK, HPos::Right, (left - 14, y + cell / 2))?;
            let name = if widest < cell - 8 { self.names[actual].clone() } else { actual.to_string() };
            let x = left + cell * actual as i32 + cell / 2;
            write(&name, size, style::INK, HPos::Center, (x, top + side + 22))?;
        }
        area.draw(&Rectangle::new([(left, top), (left + side, top + side)], style::INK.stroke_width(1)))
            .map_err(style::text)?;
        write("predicted", style::NAME, style::INK, HPos::Center, (left + side / 2, top + side + 62))?;
        let beside = if fits { widest } else { style::width_of(&area, "99", style::TICK)? };
        let upright =
            style::font(style::NAME, style::INK, HPos::Center, VPos::Center).transform(FontTransform::Rotate270);
        area.draw_text("actual", &upright, (left - 50 - beside, top + side / 2)).map_err(style::text)
    }
}
