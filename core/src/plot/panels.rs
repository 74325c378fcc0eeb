use super::draw::{Area, Draw, Drawn};
use super::{Plot, style};
use core::fmt::{self, Debug};

/// Several figures in one, row by row.
///
/// ```
/// use plywood::plot::{Chart, Panels, Plot};
///
/// let x = [0.0, 1.0, 2.0];
/// let figure = Panels::new("Powers", 2)
///     .panel(Chart::new("x", "x", "y").line("", &x, &x))
///     .panel(Chart::new("x²", "x", "y").line("", &x, &[0.0, 1.0, 4.0]));
/// assert!(figure.svg()?.contains("x²"));
/// # Ok::<(), plywood::Error>(())
/// ```
pub struct Panels {
    title: String,
    columns: usize,
    panels: Vec<Box<dyn Draw>>,
}

impl Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: Vec<&str> = self.panels.iter().map(|panel| panel.title()).collect();
        f.debug_struct("Panels").field("title", &self.title).field("panels", &titles).finish()
    }
}

impl Panels {
    /// An empty figure of so many columns, at least one.
    #[must_use]
    pub fn new(title: &str, columns: usize) -> Self {
        Panels { title: title.to_owned(), columns: columns.max(1), panels: Vec::new() }
    }

    /// With another figure, right of the last one or at the beginning of a new row.
    #[must_use]
    pub fn panel(mut self, figure: impl Plot + 'static) -> Self {
        self.panels.push(Box::new(figure));
        self
    }

    fn columns(&self) -> usize {
        self.columns.min(self.panels.len()).max(1)
    }

    fn rows(&self) -> usize {
        self.panels.len().div_ceil(self.columns())
    }
}

impl Draw for Panels {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (u32, u32) {
        let head = if self.title.is_empty() { 0 } else { style::TITLE_HEIGHT };
        (600 * self.columns() as u32, 480 * self.rows() as u32 + head)
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        if self.panels.is_empty() {
            return Err("there is nothing to draw: give it panels".to_owned());
        }
        let area = style::heading(area, &self.title, style::TITLE)?;
        let areas = area.split_evenly((self.rows(), self.columns()));
        for (panel, area) in self.panels.iter().zip(areas) {
            panel.draw(&area).map_err(|message| format!("in `{}`, {message}", panel.title()))?;
        }
        Ok(())
    }
}
