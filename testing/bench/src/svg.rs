//! Draws a plot as SVG: points at equal distances, values on a logarithmic axis.

use std::fmt::Write;

use crate::measure::Plot;
use crate::statistics::number;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 90.0;
const BOTTOM: f64 = 60.0;
/// Distinguishable without color vision.
const COLORS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// What a value of zero or less is drawn as, since it has no logarithm.
const SMALLEST: f64 = 0.01;

/// Positions of points and values.
struct Scale {
    points: usize,
    /// The decades that the values are in.
    low: i32,
    high: i32,
}

/// The plot as an SVG document.
pub(crate) fn draw(plot: &Plot) -> String {
    let scale = Scale::of(plot);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>{}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n",
        escape(plot.title)
    );
    text(&mut svg, LEFT, 24.0, "start", &format!("{}: {}", plot.axes[1], plot.title));
    text(&mut svg, f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 14.0, "middle", plot.axes[0]);
    for decade in scale.low..=scale.high {
        let y = scale.y(10_f64.powi(decade));
        line(&mut svg, [LEFT, y, WIDTH - RIGHT, y], "#dddddd");
        text(&mut svg, LEFT - 8.0, y + 4.0, "end", &tick(decade));
    }
    for (index, point) in plot.points.iter().enumerate() {
        text(&mut svg, scale.x(index), HEIGHT - BOTTOM + 22.0, "middle", point);
    }
    for (index, (name, values)) in plot.series.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let x = LEFT + 230.0 * (index % 3) as f64;
        line(&mut svg, [x, 50.0, x + 24.0, 50.0], color);
        text(&mut svg, x + 30.0, 54.0, "start", name);
        curve(&mut svg, &scale, values, color);
    }
    svg + "</svg>\n"
}

fn curve(svg: &mut String, scale: &Scale, values: &[f64], color: &str) {
    let points = values.iter().enumerate().map(|(index, value)| (scale.x(index), scale.y(*value)));
    let points: Vec<(f64, f64)> = points.collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let path = path.join(" ");
    push(
        svg,
        format_args!("<polyline points=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"),
    );
    for ((x, y), value) in points.iter().zip(values) {
        push(svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>"));
        text(svg, *x, y - 8.0, "middle", &number(*value));
    }
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], color: &str) {
    push(
        svg,
        format_args!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{color}\" stroke-width=\"2\"/>"),
    );
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escape(words);
    push(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"));
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("a string can always be written to");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn tick(decade: i32) -> String {
    if decade < 0 { 10_f64.powi(decade).to_string() } else { format!("{:.0}", 10_f64.powi(decade)) }
}

// === impl Scale ===

impl Scale {
    fn of(plot: &Plot) -> Self {
        let values = || plot.series.iter().flat_map(|(_, values)| values).map(|value| value.max(SMALLEST));
        let low = values().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values().fold(SMALLEST, f64::max).log10().ceil();
        let low = if low.is_finite() { low as i32 } else { 0 };
        Self { points: plot.points.len(), low, high: (high as i32).max(low + 1) }
    }

    fn x(&self, index: usize) -> f64 {
        let distance = (WIDTH - LEFT - RIGHT - 60.0) / (self.points.max(2) - 1) as f64;
        LEFT + 30.0 + distance * index as f64
    }

    fn y(&self, value: f64) -> f64 {
        let height = HEIGHT - TOP - BOTTOM;
        let part = (value.max(SMALLEST).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        HEIGHT - BOTTOM - height * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_is_a_grid_line() {
        let plot = Plot {
            file: "plot",
            title: "a < b",
            axes: ["x", "y"],
            points: vec!["1".to_owned(), "2".to_owned()],
            series: vec![("one", vec![1.0, 100.0])],
        };
        let svg = draw(&plot);
        for tick in [">1<", ">10<", ">100<", "a &lt; b"] {
            assert!(svg.contains(tick), "{tick} in {svg}");
        }
    }
}
