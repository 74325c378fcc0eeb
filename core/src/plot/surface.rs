use super::chart::axes;
use super::draw::{Area, Draw, Drawn};
use super::style::{self, Entry, Mark};
use super::{Numbers, finite};
use crate::dim::{D, Dim, Dyn, StaticDim};
use crate::element::Float;
use crate::tensor::{Storage, Tensor};
use core::ops::Range;
use plotters::element::{PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

/// What a classifier says at each point of a plane, with the samples on it.
///
/// With one output it is the probability of class 1, and a line stands where it is ½. With several outputs each is the
/// probability of a class: the colour is that of the likeliest one, the stronger, the likelier it is.
///
/// ```
/// use plywood::plot::{DecisionSurface, Plot};
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![4, 2]> = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let y: Tensor<Shape![4, 1]> = tensor![[0.0], [0.0], [0.0], [1.0]];
/// let model = sequential![Linear(2, 1), Sigmoid].init(&mut Generator::manual_seed(0));
/// let figure = DecisionSurface::new("Both", &x, &y, |points| model.forward(points))
///     .axes("left", "right")
///     .names(&["not both", "both"]);
/// assert!(figure.svg()?.contains("not both"));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DecisionSurface {
    title: String,
    axes: [String; 2],
    names: Vec<String>,
    /// The outputs of the classifier at the points of the grid, row by row from below.
    outputs: Vec<f64>,
    classes: usize,
    ranges: [Range<f64>; 2],
    x: Vec<f64>,
    labels: Vec<f64>,
}

/// The points of the grid along one axis.
const GRID: usize = 161;
/// How many strengths a colour has; neighbours of the same one become one rectangle.
const STEPS: f64 = 20.0;

impl DecisionSurface {
    /// The samples x \[samples, 2\] with their labels, and the probabilities that `classify` gives for points of the plane.
    ///
    /// Labels are the numbers of the classes, of any shape and element type.
    #[must_use]
    pub fn new<B: Dim, C: StaticDim, E: Float>(
        title: &str,
        x: &Tensor<(B, D<2>), E, impl Storage<E>>,
        labels: &(impl Numbers + ?Sized),
        classify: impl FnOnce(&Tensor<(Dyn, D<2>), E>) -> Tensor<(Dyn, C), E>,
    ) -> Self {
        let x = x.numbers();
        let range = |column: usize| style::range(x.iter().skip(column).step_by(2), 0.08).unwrap_or(-1.0..1.0);
        let ranges = [range(0), range(1)];
        let mut grid = Tensor::zeros_of((Dyn(GRID * GRID), D));
        for (at, point) in grid.as_mut_slice().chunks_exact_mut(2).enumerate() {
            let place = |range: &Range<f64>, i: usize| {
                E::of(range.start + (range.end - range.start) * i as f64 / (GRID - 1) as f64)
            };
            point.copy_from_slice(&[place(&ranges[0], at % GRID), place(&ranges[1], at / GRID)]);
        }
        DecisionSurface {
            title: title.to_owned(),
            axes: ["x₀".to_owned(), "x₁".to_owned()],
            names: (0..C::SIZE.max(2)).map(|class| format!("class {class}")).collect(),
            outputs: classify(&grid).numbers(),
            classes: C::SIZE,
            ranges,
            labels: labels.numbers(),
            x,
        }
    }

    /// With other names of the axes than x₀ and x₁.
    #[must_use]
    pub fn axes(self, x_name: &str, y_name: &str) -> Self {
        DecisionSurface { axes: [x_name.to_owned(), y_name.to_owned()], ..self }
    }

    /// With names of the classes, first to last.
    #[must_use]
    pub fn names(self, names: &[&str]) -> Self {
        DecisionSurface { names: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    fn check(&self) -> Drawn {
        let (samples, classes) = (self.x.len() / 2, self.classes.max(2));
        if self.labels.len() != samples {
            return Err(format!("there are {samples} samples, but {} labels", self.labels.len()));
        }
        if self.names.len() != classes {
            return Err(format!("there are {classes} classes, but {} names", self.names.len()));
        }
        if self.outputs.len() != GRID * GRID * self.classes {
            return Err(format!("of {} points, the classifier gave {} outputs", GRID * GRID, self.outputs.len()));
        }
        let no_class = |label: &f64| !(0..classes).any(|class| *label == class as f64);
        if let Some(at) = self.labels.iter().position(no_class) {
            return Err(format!(
                "label {at} is {}, but there are {classes} classes (0 to {})",
                self.labels[at],
                classes - 1
            ));
        }
        finite("x", &self.x)?;
        finite("the classifier's outputs", &self.outputs)
    }

    /// The outputs at a point of the grid.
    fn at(&self, i: usize, j: usize) -> &[f64] {
        &self.outputs[(j * GRID + i) * self.classes..][..self.classes]
    }

    fn colour(&self, i: usize, j: usize) -> RGBColor {
        let step = |strength: f64| (strength * STEPS).round() / STEPS;
        match self.at(i, j) {
            [p] => style::tint(style::colour(usize::from(*p > 0.5)), 0.7 * step((2.0 * p - 1.0).abs())),
            outputs => {
                let class = crate::tensor::argmax(outputs);
                let least = 1.0 / outputs.len() as f64;
                style::tint(style::colour(class), 0.1 + 0.4 * step((outputs[class] - least) / (1.0 - least)))
            }
        }
    }

    /// The two ends, in steps of the grid, of the line in a cell on which the one output is ½ (marching squares).
    fn boundary(&self, i: usize, j: usize) -> Vec<[(f64, f64); 2]> {
        let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)];
        let mut ends = Vec::new();
        for side in 0..4 {
            let (a, b) = (corners[side], corners[(side + 1) % 4]);
            let (p, q) = (self.at(a.0, a.1)[0] - 0.5, self.at(b.0, b.1)[0] - 0.5);
            if (p > 0.0) != (q > 0.0) {
                let part = p / (p - q);
                let between = |a: usize, b: usize| a as f64 + part * (b as f64 - a as f64);
                ends.push((between(a.0, b.0), between(a.1, b.1)));
            }
        }
        ends.chunks_exact(2).map(|ends| [ends[0], ends[1]]).collect()
    }
}

impl Draw for DecisionSurface {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        (1100, 980)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        self.check()?;
        let area = style::heading(area, &self.title, style::TITLE)?;
        let mut entries: Vec<Entry<'_>> = (0..self.names.len())
            .map(|class| Entry {
                name: &self.names[class],
                mark: Mark::Points,
                colour: style::colour(class),
                form: class,
            })
            .collect();
        if self.classes == 1 {
            entries.push(Entry { name: "probability ½", mark: Mark::Line, colour: style::INK, form: 0 });
        }
        let area = style::legend(&area, &entries)?;
        let area = if self.classes == 1 { self.scale(&area)? } else { area };
        let [x, y] = self.ranges.clone();
        let axes = axes(&area, [&self.axes[0], &self.axes[1]], x, y, false)?;
        let inner = axes.plotting_area().strip_coord_spec();
        let (width, height) = inner.dim_in_pixel();
        let (width, height) = (f64::from(width) - 1.0, f64::from(height) - 1.0);
        let across = |i: f64| (width * i / (GRID - 1) as f64).round() as i32;
        let up = |j: f64| (height * (1.0 - j / (GRID - 1) as f64)).round() as i32;

        for j in 0..GRID {
            // A point of the grid colours half a step to each side; the axes stay free.
            let (low, high) = (up((j as f64 - 0.5).max(0.0)), up((j as f64 + 0.5).min((GRID - 1) as f64)));
            let mut from = 0;
            for to in 1..=GRID {
                if to < GRID && self.colour(to, j) == self.colour(from, j) {
                    continue;
                }
                let (left, right) = ((from as f64 - 0.5).max(0.0), (to as f64 - 0.5).min((GRID - 1) as f64));
                let corners = [(across(left) + 1, high), (across(right) + 1, low)];
                inner.draw(&Rectangle::new(corners, self.colour(from, j).filled())).map_err(style::text)?;
                from = to;
            }
        }
        if self.classes == 1 {
            for (i, j) in (0..GRID - 1).flat_map(|j| (0..GRID - 1).map(move |i| (i, j))) {
                for ends in self.boundary(i, j) {
                    let ends = ends.map(|(i, j)| (across(i), up(j))).to_vec();
                    inner.draw(&PathElement::new(ends, style::INK.stroke_width(3))).map_err(style::text)?;
                }
            }
        }
        let (left, top) = inner.get_base_pixel();
        for (point, label) in self.x.chunks_exact(2).zip(&self.labels) {
            let class = *label as usize;
            let (x, y) = axes.backend_coord(&(point[0], point[1]));
            style::point(&inner, class, (x - left, y - top), 6, style::colour(class).filled(), Some(style::INK))?;
        }
        Ok(())
    }
}

impl DecisionSurface {
    /// Draws the scale of probabilities on the right and gives the area left of it.
    fn scale<'a>(&self, area: &Area<'a>) -> Result<Area<'a>, String> {
        let (width, height) = area.dim_in_pixel();
        let (rest, strip) = area.split_horizontally(width - 150);
        let (top, bottom) = (10, height as i32 - 76);
        let at = |p: f64| bottom - (p * f64::from(bottom - top)).round() as i32;
        for step in 0..40 {
            let (low, high) = (f64::from(step) / 40.0, f64::from(step + 1) / 40.0);
            let p = (low + high) / 2.0;
            let colour = style::tint(style::colour(usize::from(p > 0.5)), 0.7 * (2.0 * p - 1.0).abs());
            strip.draw(&Rectangle::new([(4, at(high)), (30, at(low))], colour.filled())).map_err(style::text)?;
        }
        strip.draw(&Rectangle::new([(4, top), (30, bottom)], style::INK.stroke_width(1))).map_err(style::text)?;
        for p in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let y = at(p).clamp(top + 8, bottom - 8);
            strip
                .draw_text(&style::tick(p), &style::font(style::TICK, style::INK, HPos::Left, VPos::Center), (38, y))
                .map_err(style::text)?;
        }
        let upright = style::font(style::NAME, style::INK, HPos::Center, VPos::Center)
            .transform(plotters::style::FontTransform::Rotate90);
        let name = format!("probability of {}", self.names[1]);
        strip.draw_text(&name, &upright, (116, (top + bottom) / 2)).map_err(style::text)?;
        Ok(rest)
    }
}
