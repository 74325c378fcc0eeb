use super::draw::{Area, Draw, Drawn};
use super::style::{self, Entry, Mark};
use super::{Numbers, finite};
use crate::train::History;
use core::ops::Range;
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

/// Points and lines over two named axes.
///
/// Points that nearly cover each other are drawn before lines. Series get their colours in the order they are given in.
///
/// ```
/// use plywood::plot::{Chart, Plot};
///
/// let (x, y) = ([0.0, 1.0, 2.0, 3.0], [0.1, 0.9, 2.2, 2.9]);
/// let chart = Chart::new("A line through points", "hours", "metres").points("measured", &x, &y).line("y = x", &x, &x);
/// assert!(chart.svg()?.contains("metres"));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    x_name: String,
    y_name: String,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    mark: Mark,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Chart {
    /// A chart without series, with the names of its axes.
    #[must_use]
    pub fn new(title: &str, x_name: &str, y_name: &str) -> Self {
        Chart { title: title.into(), x_name: x_name.into(), y_name: y_name.into(), series: Vec::new() }
    }

    /// The losses of a training by epochs, and those on the validation set if there was one.
    ///
    /// ```
    /// use plywood::plot::{Chart, Plot};
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![8, 1]> = tensor![[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]];
    /// let data: TensorDataset<Shape![1], Shape![1], f32, f32> = TensorDataset::new(x.clone(), x)?;
    /// let mut trainer = Trainer::new(sequential![Linear(1, 1)].init(&mut Generator::manual_seed(0)), MSELoss, Adam::new(0.1));
    /// let history = trainer.fit(&data, Fit::epochs(5).quiet())?;
    /// assert!(Chart::losses("A training", &history).svg()?.contains("epoch"));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn losses(title: &str, history: &History) -> Self {
        let epochs: Vec<u64> = history.epochs.iter().map(|epoch| epoch.number).collect();
        let chart = Chart::new(title, "epoch", "loss").line("training", &epochs, &history.losses());
        let validated: Vec<u64> =
            history.epochs.iter().filter(|epoch| epoch.validation.is_some()).map(|epoch| epoch.number).collect();
        if validated.is_empty() { chart } else { chart.line("validation", &validated, &history.validation_losses()) }
    }

    /// With points at (x, y). A series of no name is not in the legend.
    #[must_use]
    pub fn points(self, name: &str, x: &(impl Numbers + ?Sized), y: &(impl Numbers + ?Sized)) -> Self {
        self.with(name, Mark::Points, x, y)
    }

    /// With a line through (x, y) in the order given. A series of no name is not in the legend; beside those that have one,
    /// its line is thin, grey and below theirs.
    #[must_use]
    pub fn line(self, name: &str, x: &(impl Numbers + ?Sized), y: &(impl Numbers + ?Sized)) -> Self {
        self.with(name, Mark::Line, x, y)
    }

    fn with(mut self, name: &str, mark: Mark, x: &(impl Numbers + ?Sized), y: &(impl Numbers + ?Sized)) -> Self {
        self.series.push(Series { name: name.to_owned(), mark, x: x.numbers(), y: y.numbers() });
        self
    }

    /// Whether a series is a line for others to be seen against.
    fn is_background(&self, series: &Series) -> bool {
        series.mark == Mark::Line && series.name.is_empty() && self.series.iter().any(|other| !other.name.is_empty())
    }

    fn foreground(&self, before: usize) -> impl Iterator<Item = &Series> {
        self.series[..before].iter().filter(|series| !self.is_background(series))
    }

    /// The number that a series has among those of its kind: its dashes, or the form of its points.
    fn form(&self, series: usize) -> usize {
        self.foreground(series).filter(|before| before.mark == self.series[series].mark).count()
    }

    fn colour(&self, series: usize) -> RGBColor {
        style::colour(self.foreground(series).count())
    }

    fn check(&self) -> Drawn {
        for series in &self.series {
            let (x, y) = (series.x.len(), series.y.len());
            if x != y {
                return Err(format!("`{}` has {x} numbers in x, but {y} in y", series.name));
            }
            finite(&series.name, &series.x)?;
            finite(&series.name, &series.y)?;
        }
        Ok(())
    }
}

pub(super) type Axes<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Axes with their names, numbers and a light mesh.
pub(super) fn axes<'a, 'b>(
    area: &'b Area<'a>,
    names: [&str; 2],
    x: Range<f64>,
    y: Range<f64>,
    mesh: bool,
) -> Result<Axes<'a, 'b>, String> {
    let mut axes = ChartBuilder::on(area)
        .margin_top(10)
        .margin_right(28)
        .margin_bottom(8)
        .margin_left(8)
        .x_label_area_size(68)
        .y_label_area_size(108)
        .build_cartesian_2d(x, y)
        .map_err(style::text)?;
    let (width, height) = axes.plotting_area().dim_in_pixel();
    let mut drawing = axes.configure_mesh();
    if !mesh {
        drawing.disable_mesh();
    }
    drawing
        .x_labels((width / 80).clamp(3, 12) as usize)
        .y_labels((height / 52).clamp(3, 12) as usize)
        .max_light_lines(0)
        .bold_line_style(style::GRID)
        .axis_style(style::INK)
        .x_desc(names[0])
        .y_desc(names[1])
        .x_label_formatter(&|x| style::tick(*x))
        .y_label_formatter(&|y| style::tick(*y))
        .label_style(style::font(style::TICK, style::INK, HPos::Center, VPos::Center))
        .axis_desc_style(style::font(style::NAME, style::INK, HPos::Center, VPos::Center))
        .draw()
        .map_err(style::text)?;
    Ok(axes)
}

impl Draw for Chart {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        (1200, 860)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        self.check()?;
        let range = |of: fn(&Series) -> &Vec<f64>, air| style::range(self.series.iter().flat_map(of), air);
        let (Some(x), Some(y)) = (range(|series| &series.x, 0.03), range(|series| &series.y, 0.06)) else {
            return Err("there is nothing to draw: give it points or a line".to_owned());
        };
        let area = style::heading(area, &self.title, style::TITLE)?;
        let entries: Vec<Entry<'_>> = self
            .series
            .iter()
            .enumerate()
            .map(|(index, Series { name, mark, .. })| Entry {
                name,
                mark: *mark,
                colour: self.colour(index),
                form: self.form(index),
            })
            .collect();
        let area = style::legend(&area, &entries)?;
        let axes = axes(&area, [&self.x_name, &self.y_name], x, y, true)?;
        let inner = axes.plotting_area().strip_coord_spec();
        let (left, top) = inner.get_base_pixel();
        for (mark, background) in [(Mark::Line, true), (Mark::Points, false), (Mark::Line, false)] {
            let drawn = |series: &Series| series.mark == mark && self.is_background(series) == background;
            for (index, series) in self.series.iter().enumerate().filter(|(_, series)| drawn(series)) {
                let pixels: Vec<(i32, i32)> = series
                    .x
                    .iter()
                    .zip(&series.y)
                    .map(|(x, y)| axes.backend_coord(&(*x, *y)))
                    .map(|(x, y)| (x - left, y - top))
                    .collect();
                let colour = self.colour(index);
                match mark {
                    Mark::Line if pixels.is_empty() => {}
                    Mark::Line if background => {
                        style::line(&inner, &style::thinned(&pixels), style::dash(0), style::FAINT.stroke_width(2))?;
                    }
                    Mark::Line => style::line(
                        &inner,
                        &style::thinned(&pixels),
                        style::dash(self.form(index)),
                        colour.stroke_width(4),
                    )?,
                    Mark::Points => {
                        // Where points are many, they are smaller and let others show through.
                        let (r, opacity) = if pixels.len() > 100 { (5, 0.45) } else { (7, 0.8) };
                        for at in pixels {
                            style::point(&inner, self.form(index), at, r, colour.mix(opacity).filled(), None)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
