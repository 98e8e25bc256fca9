//! The curves of several systems in one DET plot.

use plotters::prelude::{BLACK, Color, RGBColor};

use super::axes::{Axes, LEFT, SIDE, Warped};
use super::corners::corners;
use super::dashes::dashes;
use super::legend::{self, CURVE, Sign, light};
use super::{band, place, reach, warped};
use crate::canvas::{self, Canvas, GREY, HPos, Spot, shortened};
use crate::error::{Error, Result};
use crate::scoring::{Cost, Curve, Intervals, Point};

/// Colours of the systems.
const COLOURS: [RGBColor; 8] = [
    CURVE,
    RGBColor(214, 96, 30),
    RGBColor(60, 140, 80),
    RGBColor(160, 60, 140),
    RGBColor(120, 85, 60),
    RGBColor(20, 150, 170),
    RGBColor(200, 40, 60),
    RGBColor(70, 70, 70),
];

/// The most systems that a plot can hold: each colour once as a line, and once dashed.
pub const DET_SYSTEMS: usize = 2 * COLOURS.len();

/// The widest name of a system in the legend, in pixels.
const NAME: i32 = 200;

/// A system whose curve is drawn.
#[derive(Debug, Clone, Copy)]
pub struct DetSystem<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Its curve.
    pub curve: &'a Curve<'a>,
    /// 95 % intervals: a band around the curve, and the range of EER in the legend.
    pub intervals: Option<&'a Intervals>,
}

/// A system's curve, with what its drawing needs.
struct Drawn {
    colour: RGBColor,
    is_dashed: bool,
    eer: f64,
    /// The points of minDCF.
    best: Vec<Point>,
    path: Vec<Warped>,
    /// The rates that the axes must hold.
    reach: [f64; 2],
}

impl Drawn {
    /// The drawing of the system of this number, from 0.
    fn of(system: &DetSystem, costs: &[Cost], number: usize) -> Self {
        let (corners, eer) = (corners(system.curve), system.curve.eer().rate);
        let best: Vec<Point> = costs.iter().map(|cost| system.curve.at_min_cost(cost)).collect();
        let reach = reach(system.curve, &corners, eer, &best);
        let (colour, is_dashed) = (COLOURS[number % COLOURS.len()], number >= COLOURS.len());
        Self { colour, is_dashed, eer, best, path: warped(&corners), reach }
    }

    /// Draws the curve and its marks. Returns what the legend must not cover.
    fn draw(&self, canvas: &Canvas, axes: &Axes) -> Result<Vec<Vec<Spot>>> {
        let line = axes.clip(&self.path, false);
        match line[..] {
            // No threshold gives some misses and some false accepts. The legend still has the rate.
            [] => {}
            [only] => canvas.dot(only, 2, self.colour)?,
            _ if self.is_dashed => dashes(&line)
                .iter()
                .try_for_each(|dash| canvas.line(dash, self.colour.stroke_width(2)))?,
            _ => canvas.line(&line, self.colour.stroke_width(2))?,
        }
        let mut taken = vec![line];
        for (k, spot) in self.best.iter().map(|p| place(axes, p)).enumerate() {
            spot.map_or(Ok(()), |at| Sign::Outline(k, self.colour).draw(canvas, at))?;
            taken.extend(spot.map(|at| vec![at]));
        }
        if let Some(at) = axes.mark(self.eer, self.eer).filter(|_| self.eer > 0.0) {
            Sign::Dot(self.colour).draw(canvas, at)?;
            taken.push(vec![at]);
        }
        Ok(taken)
    }
}

/// The curves of several systems as SVG text, 640 pixels wide and high, each in a colour of its
/// own, with its 95 % band and its points of EER and of minDCF at `costs`. From the ninth on the
/// colours come again, dashed. What [`det_svg`](super::det_svg) says of one curve holds for each of
/// them.
///
/// # Errors
/// No system or more than [`DET_SYSTEMS`]; those of the drawing library.
pub fn det_systems_svg(title: &str, systems: &[DetSystem], costs: &[Cost]) -> Result<String> {
    if !(1..=DET_SYSTEMS).contains(&systems.len()) {
        return Err(Error::invalid(format!(
            "{} systems in a DET plot: 1 to {DET_SYSTEMS} are possible",
            systems.len()
        )));
    }
    let drawn: Vec<Drawn> =
        systems.iter().zip(0..).map(|(system, number)| Drawn::of(system, costs, number)).collect();
    let axes = Axes::around(
        drawn.iter().map(|d| d.reach[0]).fold(f64::INFINITY, f64::min),
        drawn.iter().map(|d| d.reach[1]).fold(0.0, f64::max),
    );
    let outline = |(system, drawn): (&DetSystem, &Drawn)| {
        system.intervals.map_or(Vec::new(), |i| axes.clip(&band(&i.band, &drawn.path), true))
    };
    let areas: Vec<Vec<Spot>> = systems.iter().zip(&drawn).map(outline).collect();
    canvas::svg((640, 640), |canvas| {
        let middle = LEFT + SIDE / 2;
        canvas.text(&shortened(title, 20, 600), 20, BLACK, HPos::Center, (middle, 20))?;
        canvas.text(&trials_of(systems), 14, GREY, HPos::Center, (middle, 40))?;
        axes.draw(canvas)?;
        // All bands first, so that none covers a curve.
        for (area, drawn) in areas.iter().zip(&drawn).filter(|(area, _)| area.len() > 2) {
            canvas.area(area, light(drawn.colour))?;
        }
        let mut taken: Vec<Vec<Spot>> = Vec::new();
        for drawn in &drawn {
            taken.extend(drawn.draw(canvas, &axes)?);
        }
        let mut rows: Vec<(Sign, String)> = Vec::new();
        for (system, drawn) in systems.iter().zip(&drawn) {
            let eer = legend::eer(drawn.eer, system.intervals.map(|i| i.eer));
            let name = shortened(system.name, legend::LETTERS, NAME);
            let sign = if drawn.is_dashed { Sign::Dashed } else { Sign::Line };
            rows.push((sign(drawn.colour), format!("{name}: {eer}")));
        }
        rows.push((Sign::Dot(GREY), "EER".to_owned()));
        rows.extend(
            costs.iter().enumerate().map(|(k, c)| (Sign::Outline(k, GREY), format!("minDCF({c})"))),
        );
        if areas.iter().any(|area| area.len() > 2) {
            rows.push((Sign::Band(GREY), "95 % interval, speakers resampled".to_owned()));
        }
        let lines: Vec<&[Spot]> = taken.iter().map(Vec::as_slice).collect();
        legend::draw(canvas, &rows, &lines, &areas.concat())
    })
}

/// The numbers of trials, if all systems have the same.
fn trials_of(systems: &[DetSystem]) -> String {
    let counts = |s: &DetSystem| (s.curve.targets, s.curve.nontargets);
    let (targets, nontargets) = counts(&systems[0]);
    match systems.iter().all(|s| counts(s) == (targets, nontargets)) {
        true => format!("{targets} targets, {nontargets} nontargets"),
        false => "of different trials".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::scoring::bootstrap;

    /// Trials of 20 speakers, whose targets score higher by `shift`.
    fn trials(shift: f64) -> Vec<(f64, bool, u32, u32)> {
        let mut stream = Stream::new(11, "test", &[]);
        let pairs = (0..20).flat_map(|a| (0..20).map(move |b| (a, b)));
        let more = pairs.flat_map(|(a, b)| [(a, b); 4]);
        more.map(|(a, b)| (stream.normal() + if a == b { shift } else { 0.0 }, a == b, a, b))
            .collect()
    }

    fn curve_of(trials: &[(f64, bool, u32, u32)]) -> Curve<'static> {
        Curve::new(trials.iter().map(|t| (t.0, t.1))).unwrap()
    }

    #[test]
    fn every_system_has_a_curve_a_band_and_marks_in_its_colour() {
        let costs = [0.4, 0.5].map(Cost::at_prior);
        let all = [1.0, 2.0, 2.5].map(trials);
        let curves = all.each_ref().map(|t| curve_of(t));
        let intervals = all.each_ref().map(|t| bootstrap(t, &[0.4, 0.5], 40, 1, &|| ()).unwrap());
        let names = ["first", "second <b>", "third"];
        let systems: Vec<DetSystem> = (0..3)
            .map(|i| {
                let intervals = Some(&intervals[i]).filter(|_| i < 2);
                DetSystem { name: names[i], curve: &curves[i], intervals }
            })
            .collect();
        let svg = det_systems_svg("three systems", &systems, &costs).unwrap();
        let count = |tag: &str, colour: RGBColor| {
            let colour = format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
            let is_one = |l: &&str| l.starts_with(&format!("<{tag} ")) && l.contains(&colour);
            svg.lines().filter(is_one).count()
        };
        for (i, colour) in COLOURS[..3].iter().enumerate() {
            // The curve, its line in the legend, and two outlines.
            assert_eq!(count("polyline", *colour), 4, "{i}: {svg}");
            assert_eq!(count("polygon", *colour), usize::from(i < 2), "{i}: {svg}");
            assert_eq!(count("circle", *colour), 1, "{i}: {svg}");
            let eer = format!("EER {:.2} %", 100.0 * curves[i].eer().rate);
            assert!(svg.contains(&eer), "{eer}: {svg}");
        }
        assert_eq!((count("polyline", COLOURS[3]), count("circle", GREY)), (0, 1), "{svg}");
        for words in ["second &lt;b&gt;: EER", "minDCF(0.5)", "80 targets, 1520 nontargets"] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
    }

    #[test]
    fn systems_without_errors_and_of_other_trials_are_drawn() {
        let apart = Curve::new((0..60).map(|i| (f64::from(i), i >= 40))).unwrap();
        let other = curve_of(&trials(1.0));
        let system = |name, curve| DetSystem { name, curve, intervals: None };
        let systems = [system("apart", &apart), system("other", &other)];
        let svg = det_systems_svg("two", &systems, &[]).unwrap();
        assert!(svg.contains("apart: EER 0.00 %") && svg.contains("of different trials"), "{svg}");
        assert!(det_systems_svg("none", &[], &[]).is_err());
        let many: Vec<DetSystem> = (0..17).map(|_| system("x", &apart)).collect();
        let error = det_systems_svg("many", &many, &[]).unwrap_err().to_string();
        assert!(error.contains("17 systems in a DET plot: 1 to 16"), "{error}");
    }

    #[test]
    fn colours_come_again_dashed() {
        let all: Vec<_> = (0..DET_SYSTEMS).map(|i| trials(0.5 + 0.1 * i as f64)).collect();
        let curves: Vec<Curve> = all.iter().map(|t| curve_of(t)).collect();
        let names: Vec<String> = (0..DET_SYSTEMS).map(|i| format!("system {i}")).collect();
        let systems: Vec<DetSystem> = names
            .iter()
            .zip(&curves)
            .map(|(name, curve)| DetSystem { name, curve, intervals: None })
            .collect();
        let lines = |count: usize| {
            let svg = det_systems_svg("many", &systems[..count], &[]).unwrap();
            assert!(names[..count].iter().all(|name| svg.contains(&format!("{name}: EER"))));
            let colour = format!("#{:02X}{:02X}{:02X}", CURVE.0, CURVE.1, CURVE.2);
            let is_one = |l: &&str| l.starts_with("<polyline ") && l.contains(&colour);
            svg.lines().filter(is_one).count()
        };
        // The curve and its line in the legend. Then two dashes in the legend, more in the plot.
        assert_eq!(lines(8), 2);
        assert!(lines(9) > 2 + 2 + 10, "{}", lines(9));
        lines(DET_SYSTEMS);
    }
}
