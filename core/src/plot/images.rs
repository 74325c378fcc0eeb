use super::draw::{Area, Draw, Drawn};
use super::{finite, style};
use crate::dim::StaticDim;
use crate::element::Numeric;
use crate::tensor::{Storage, Tensor};
use plotters::element::Rectangle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

/// Images of one channel in rows, each with a caption below it.
///
/// In each image the smallest number is white and the largest black, as ink on paper.
///
/// ```
/// use plywood::plot::{ImageGrid, Plot};
/// use plywood::prelude::*;
///
/// let cross: Tensor<Shape![3, 3]> = tensor![[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]];
/// let grid = ImageGrid::new("Signs", 2).image("a plus", &cross).image("less", &(-&cross));
/// assert!(grid.svg()?.contains("a plus"));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageGrid {
    title: String,
    columns: usize,
    images: Vec<Image>,
}

#[derive(Clone, Debug)]
struct Image {
    caption: String,
    width: usize,
    pixels: Vec<f64>,
}

const CELL: u32 = 150;
const CAPTION: u32 = 34;
const MARGIN: u32 = 24;
/// How many shades there are; neighbours of the same shade become one rectangle.
const SHADES: f64 = 24.0;

impl ImageGrid {
    /// An empty grid of so many columns, at least one.
    #[must_use]
    pub fn new(title: &str, columns: usize) -> Self {
        ImageGrid { title: title.to_owned(), columns: columns.max(1), images: Vec::new() }
    }

    /// With another image \[height, width\].
    #[must_use]
    pub fn image<H: StaticDim, W: StaticDim, E: Numeric>(
        mut self,
        caption: &str,
        pixels: &Tensor<(H, W), E, impl Storage<E>>,
    ) -> Self {
        let pixels = super::Numbers::numbers(pixels);
        self.images.push(Image { caption: caption.to_owned(), width: W::SIZE, pixels });
        self
    }

    fn rows(&self) -> usize {
        self.images.len().div_ceil(self.columns)
    }
}

impl Image {
    fn draw(&self, area: &Area<'_>, (left, top): (i32, i32)) -> Drawn {
        finite(&self.caption, &self.pixels)?;
        let range = style::range(self.pixels.iter(), 0.0).ok_or("an image has no pixels")?;
        let height = self.pixels.len() / self.width;
        let side = (CELL - 14) as usize;
        let scale = side as f64 / self.width.max(height) as f64;
        // Rounded on both sides of a pixel, so that neither gaps nor overlaps show.
        let edge = |pixel: usize| (pixel as f64 * scale).round() as i32;
        let shade = |x: f64| ((x - range.start) / (range.end - range.start) * SHADES).round() / SHADES;
        for (y, row) in self.pixels.chunks_exact(self.width).enumerate() {
            let mut from = 0;
            for to in 1..=row.len() {
                if to < row.len() && shade(row[to]) == shade(row[from]) {
                    continue;
                }
                let corners = [(left + edge(from), top + edge(y)), (left + edge(to), top + edge(y + 1))];
                let colour = style::tint(RGBColor(0, 0, 0), shade(row[from]));
                if shade(row[from]) > 0.0 {
                    area.draw(&Rectangle::new(corners, colour.filled())).map_err(style::text)?;
                }
                from = to;
            }
        }
        let frame = [(left - 1, top - 1), (left + edge(self.width) + 1, top + edge(height) + 1)];
        area.draw(&Rectangle::new(frame, style::GRID.stroke_width(1))).map_err(style::text)?;
        let below = (left + side as i32 / 2, top + edge(height) + CAPTION as i32 / 2 + 2);
        area.draw_text(&self.caption, &style::font(style::TICK, style::INK, HPos::Center, VPos::Center), below)
            .map_err(style::text)
    }
}

impl Draw for ImageGrid {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        let head = if self.title.is_empty() { 0 } else { style::TITLE_HEIGHT };
        let width = (CELL * self.columns as u32 + 2 * MARGIN).max(480);
        (width, (CELL + CAPTION) * self.rows() as u32 + 2 * MARGIN + head)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        if self.images.is_empty() {
            return Err("there is nothing to draw: give it images".to_owned());
        }
        let area = style::heading(area, &self.title, style::TITLE)?;
        let spare = area.dim_in_pixel().0.saturating_sub(CELL * self.columns as u32) as i32 / 2;
        for (number, image) in self.images.iter().enumerate() {
            let (row, column) = (number / self.columns, number % self.columns);
            let left = spare + 7 + (CELL * column as u32) as i32;
            let top = (MARGIN + (CELL + CAPTION) * row as u32) as i32;
            image.draw(&area, (left, top))?;
        }
        Ok(())
    }
}
