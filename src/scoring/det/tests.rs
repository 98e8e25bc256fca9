use super::*;
use crate::rng::Stream;
use crate::scoring::bootstrap;
use proptest::prelude::*;

const PLAIN: DetPlot = DetPlot { title: "test", intervals: None, costs: &[] };
const BLUE: &str = "#4C72B0";

/// The corners of every `tag` with this colour.
fn drawn(svg: &str, tag: &str, colour: &str) -> Vec<Vec<Spot>> {
    let lines = svg.lines().filter(|l| l.starts_with(&format!("<{tag} ")) && l.contains(colour));
    let corner = |text: &str| {
        let (x, y) = text.split_once(',').unwrap();
        (x.parse::<i32>().unwrap(), y.parse::<i32>().unwrap())
    };
    let corners = |l: &str| {
        let points = l.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        points.split_whitespace().map(corner).collect::<Vec<Spot>>()
    };
    lines.map(corners).collect()
}

fn in_the_square(path: &[Spot]) -> bool {
    path.iter().all(|p| (LEFT..=LEFT + SIDE).contains(&p.0) && (TOP..=TOP + SIDE).contains(&p.1))
}

/// No point has zero false accepts or zero misses.
fn off_the_lower_borders(path: &[Spot]) -> bool {
    path.iter().all(|p| p.0 > LEFT && p.1 < TOP + SIDE)
}

/// All pairs of speakers, `per` trials each. The speakers of both sides shift a score.
fn trials(speakers: u32, per: u32) -> Vec<(f64, bool, u32, u32)> {
    let mut stream = Stream::new(3, "test", &[]);
    let shifts: Vec<f64> = (0..speakers).map(|_| 0.3 * stream.normal()).collect();
    let mut all = Vec::new();
    for (a, b) in (0..speakers).flat_map(|a| (0..speakers).map(move |b| (a, b))) {
        for _ in 0..if a == b { 8 * per } else { per } {
            let shift = shifts[a as usize] + shifts[b as usize] + if a == b { 2.0 } else { 0.0 };
            all.push((stream.normal() + shift, a == b, a, b));
        }
    }
    all
}

fn curve_of(trials: &[(f64, bool, u32, u32)]) -> Curve<'static> {
    Curve::new(trials.iter().map(|t| (t.0, t.1))).unwrap()
}

#[test]
fn curve_band_and_marks_are_within_the_axes() {
    let trials = trials(40, 2);
    let curve = curve_of(&trials);
    let priors = [0.4, 0.5];
    let intervals = bootstrap(&trials, &priors, 200, 1, &|| ()).unwrap();
    let svg = det_svg(
        &curve,
        &DetPlot {
            title: "a <test>",
            intervals: Some(&intervals),
            costs: &priors.map(Cost::at_prior),
        },
    )
    .unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("a &lt;test&gt;"), "{svg}");
    let lines = drawn(&svg, "polyline", BLUE);
    assert_eq!(lines.len(), 1, "one curve: {svg}");
    let line = &lines[0];
    assert!(line.len() > 50 && in_the_square(line) && off_the_lower_borders(line), "{line:?}");
    assert!(line.windows(2).all(|w| w[0].0 >= w[1].0 && w[0].1 >= w[1].1), "it falls: {line:?}");
    // Both ends of the curve are cut off at the axes.
    let ends = (line[0], line[line.len() - 1]);
    assert!(ends.0.0 == LEFT + SIDE && ends.0.1 > TOP + 50, "{ends:?}");
    assert!(ends.1.1 == TOP && ends.1.0 < LEFT + SIDE - 50, "{ends:?}");
    // One area is the band, the other its sign in the legend.
    let areas = drawn(&svg, "polygon", BLUE);
    assert_eq!(areas.len(), 2, "{svg}");
    assert!(areas.iter().all(|a| in_the_square(a)), "{areas:?}");
    let reach = |path: &[Spot]| (path.iter().map(|p| p.0).min(), path.iter().map(|p| p.0).max());
    assert!(areas[0].len() > 20 && reach(&areas[0]).1 == reach(line).1, "{areas:?}");
    let circles: Vec<&str> = svg.lines().filter(|l| l.starts_with("<circle")).collect();
    assert_eq!(circles.len(), 2, "EER in the plot and in the legend: {svg}");
    let number = |name: &str| {
        let value = circles.iter().map(|c| c.split(&format!("{name}=\"")).nth(1).unwrap());
        value.map(|v| v.split('"').next().unwrap().parse::<i32>().unwrap()).collect::<Vec<_>>()
    };
    let on_the_diagonal = |(x, y): (&i32, &i32)| x - LEFT == TOP + SIDE - y;
    assert!(number("cx").iter().zip(&number("cy")).any(on_the_diagonal), "{circles:?}");
    let eer = format!("EER {:.2} % (", 100.0 * curve.eer().rate);
    let dcf = format!("minDCF(0.5) {:.3} (", curve.min_dcf(0.5).cost);
    for words in
        [eer.as_str(), dcf.as_str(), "minDCF(0.4)", "95 % interval, 40 speakers", "640 targets"]
    {
        assert!(svg.contains(words), "{words}: {svg}");
    }
}

/// One target of 50 has a low score, and all others are above every nontarget: misses are 2 %
/// or none.
#[test]
fn the_curve_ends_with_the_errors() {
    let nontargets = (0..5000).map(|i| (f64::from(i), false));
    let targets = (0..50).map(|i| (if i == 0 { 2000.5 } else { 6000.0 + f64::from(i) }, true));
    let curve = Curve::new(nontargets.chain(targets)).unwrap();
    let svg = det_svg(&curve, &PLAIN).unwrap();
    let lines = drawn(&svg, "polyline", BLUE);
    assert!(
        lines.len() == 1 && in_the_square(&lines[0]) && off_the_lower_borders(&lines[0]),
        "{lines:?}"
    );
    // The curve stays at 2 % misses, up to the border of false accepts.
    assert!(lines[0].len() > 100 && lines[0].iter().all(|p| p.1 == lines[0][0].1), "{lines:?}");
    assert_eq!(lines[0][0].0, LEFT + SIDE);
    let rates: Vec<Point> = corners(&curve);
    assert!(rates.iter().all(|p| p.fnr == 1.0 / 50.0 && p.fpr > 0.0), "{rates:?}");
    assert_eq!(rates[rates.len() - 1].fpr, 1.0 / 5000.0);
}

#[test]
fn a_plot_without_a_curve_says_why() {
    let apart = Curve::new((0..60).map(|i| (f64::from(i), i >= 40))).unwrap();
    let svg = det_svg(&apart, &DetPlot { costs: &[Cost::at_prior(0.01)], ..PLAIN }).unwrap();
    assert!(svg.contains("no errors at the threshold 40.0000"), "{svg}");
    assert!(svg.contains("minDCF(0.01) 0.000, no errors"), "{svg}");
    assert!(
        drawn(&svg, "polyline", BLUE).is_empty() && svg.matches("<circle").count() == 1,
        "{svg}"
    );
    let one = Curve::new((0..60).map(|i| (f64::from(i), i == 50))).unwrap();
    let svg = det_svg(&one, &PLAIN).unwrap();
    assert!(svg.contains("at every threshold all or none"), "{svg}");
    assert!(
        drawn(&svg, "polyline", BLUE).is_empty() && svg.matches("<circle").count() == 2,
        "{svg}"
    );
}

/// The cost is lowest without a false accept, so the mark lies on the left border, at its miss
/// rate.
#[test]
fn a_mark_without_false_accepts_is_on_the_border() {
    let nontargets = (0..1000).map(|i| (f64::from(i), false));
    let targets = (0..100).map(|i| (if i < 10 { 900.5 + f64::from(i) } else { 2000.0 }, true));
    let curve = Curve::new(nontargets.chain(targets)).unwrap();
    let best = curve.at_min_dcf(0.01);
    assert_eq!((best.fpr, best.fnr), (0.0, 0.1));
    let svg = det_svg(&curve, &DetPlot { costs: &[Cost::at_prior(0.01)], ..PLAIN }).unwrap();
    let outlines = drawn(&svg, "polyline", "#3C8250");
    assert_eq!(outlines.len(), 2, "in the plot and in the legend: {svg}");
    let ends = (outlines[0].iter().map(|p| p.0).min(), outlines[0].iter().map(|p| p.0).max());
    assert_eq!(ends, (Some(LEFT - 7), Some(LEFT + 7)));
}

#[test]
fn csv_has_every_point() {
    let curve = curve_of(&trials(12, 3));
    let mut out = Vec::new();
    det_csv(&curve, &mut out).unwrap();
    let line = |p: Point| format!("{},{},{}\n", p.threshold, p.fpr, p.fnr);
    let wanted =
        curve.points().map(line).fold("threshold,fpr,fnr\n".to_owned(), |text, line| text + &line);
    assert!(curve.parts() > 3 && String::from_utf8(out).unwrap() == wanted);
}

proptest! {
    #[test]
    fn nothing_leaves_the_plot(raw in prop::collection::vec((-8i32..8, any::<bool>()), 2..60)) {
        let trials: Vec<(f64, bool)> = raw.iter().map(|&(s, t)| (f64::from(s), t)).collect();
        prop_assume!(trials.iter().any(|t| t.1) && trials.iter().any(|t| !t.1));
        let curve = Curve::new(trials).unwrap();
        let costs = [0.01, 0.5].map(Cost::at_prior);
        let svg = det_svg(&curve, &DetPlot { costs: &costs, ..PLAIN }).unwrap();
        for line in drawn(&svg, "polyline", BLUE) {
            prop_assert!(in_the_square(&line) && off_the_lower_borders(&line), "{:?}", line);
        }
        let all = drawn(&svg, "polyline", "#");
        prop_assert!(all.len() > 2, "the legend alone has two outlines: {}", svg);
        for line in all {
            let shown = 0..640;
            prop_assert!(
                line.iter().all(|p| shown.contains(&p.0) && shown.contains(&p.1)),
                "{:?}",
                line
            );
        }
    }
}
