//! The pages as a whole: well formed, safe, small, and of use when little was measured.

use std::path::PathBuf;
use std::{env, fs};

use super::{markup, sample};
use crate::load::report::run::{Mark, Point, Quantiles, Run, Stage};
use crate::load::report::{compare_html, compare_table, html, table};

/// Runs with little in them.
fn bare() -> Vec<Run> {
    let point = Point { at_s: 0.0, overhead_p99_ms: Some(3.0), ..Point::default() };
    vec![
        Run::default(),
        Run { failure: Some("the server did not start".to_owned()), ..Run::default() },
        Run { series: vec![point], ..Run::default() },
        Run {
            stages: vec![Stage { to_s: f64::NAN, ..Stage::default() }],
            marks: vec![Mark { at_s: f64::INFINITY, ..Mark::default() }],
            series: vec![Point { overhead_p99_ms: Some(f64::NAN), ..point }, Point { at_s: -1.0, ..point }],
            ..Run::default()
        },
    ]
}

#[test]
fn every_page_is_well_formed_and_asks_nobody_for_anything() {
    let mut runs = bare();
    runs.extend([sample::run(), sample::broken(), sample::nasty(), sample::slower()]);
    let mut pages: Vec<String> = runs.iter().map(html).collect();
    pages.extend([&runs[..], &runs[..1], &[]].map(compare_html));
    pages.push(compare_html(&[sample::run(), sample::slower()]));
    for page in pages {
        markup::check(&page).unwrap();
        assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
        for word in ["NaN", "inf%", "http://", "https://", "url(", "@import", "<script", "{}"] {
            assert!(!page.contains(word), "{word} in a page");
        }
    }
}

#[test]
fn what_customers_wrote_stands_in_a_page_as_text() {
    for page in [html(&sample::nasty()), compare_html(&[sample::nasty(), sample::nasty()])] {
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
        assert!(!page.contains("<script") && !page.contains("alert('x')"));
    }
    // What people wrote does not turn the line that it stands in.
    assert!(html(&sample::broken()).contains("<bdi class=\"example\">u18-b1-m1: "));
}

#[test]
fn a_page_says_the_verdict_the_breaches_and_how_to_run_it_again() {
    let page = html(&sample::run());
    for expected in [
        "<h2>Held</h2><p>7 promises kept, 2 objectives met.</p>",
        "<code>tertulia load steady --seed 7",
        "<b>232</b><span>/s</span>",
        "<b>38.2</b><span> ms</span>",
        "63,412",
        "title=\"kill -9 at 1 min 36 s\"",
        "</b> lock the database</span>",
        "objective: at most 250 ms",
        "Example Processor 9000",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let page = html(&sample::broken());
    for expected in [
        "<h2>Failed</h2><p>2 of 7 promises broken, 2 of 3 objectives missed.</p>",
        "<b>lost</b></a> broken 3 of 63,412 times it was checked",
        "<b>overhead_p99_ms</b></a> 812 ms, at most 250 ms wanted",
        "<b>memory_slope_percent_per_hour</b></a> not measured, at most 5 %/h wanted",
        "The generator bounded this run, not the server",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let page = html(&Run { failure: Some("the server did not start".to_owned()), ..Run::default() });
    assert!(page.contains("<h2>No verdict</h2><p>The server did not start.</p>"));
}

#[test]
fn what_was_not_measured_is_said_and_never_drawn() {
    let page = html(&Run::default());
    assert!(
        page.matches("Not measured in this run.").count() >= 8,
        "{}",
        page.matches("Not measured").count()
    );
    let mut run = sample::run();
    run.series.iter_mut().for_each(|point| (point.memory_bytes, point.cpu_cores) = (None, None));
    run.times.overhead = Quantiles::default();
    assert_eq!(html(&run).matches("Not measured in this run.").count(), 2);
}

#[test]
fn three_hours_of_seconds_are_a_page_of_less_than_a_megabyte_and_a_half() {
    let mut run = sample::run();
    let points = run.series.clone();
    run.series = (0..10_800).map(|n| Point { at_s: n as f64, ..points[n % points.len()] }).collect();
    run.series[5_000].overhead_p99_ms = Some(77_777.0);
    run.stages
        .iter_mut()
        .for_each(|stage| (stage.from_s, stage.to_s) = (stage.from_s * 36.0, stage.to_s * 36.0));
    for page in [html(&run), compare_html(&[run.clone(), run.clone(), run.clone()])] {
        markup::check(&page).unwrap();
        assert!(page.len() < 1_500_000, "{} bytes", page.len());
        assert!(page.contains("77.8 s"), "the spike is gone");
    }
    for n in 0..300 {
        run.marks.push(Mark { at_s: f64::from(n) * 30.0, to_s: None, what: "kill -9".to_owned() });
    }
    assert!(html(&run).len() < 1_500_000, "{} bytes", html(&run).len());
}

#[test]
fn a_comparison_says_what_is_worse_and_what_else_differs() {
    let page = compare_html(&[sample::run(), sample::slower()]);
    for expected in [
        "<h2>B against A</h2>",
        "overhead p99: 65.2 ms in B, 38.2 ms in A",
        "the build differs: A release, B debug",
        "the setting conversation.quiet_ms differs: A 1500, B 2000",
        "broken promises, lost: 3 in B, 0 in A",
        "worse</span>",
        "better</span>",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let page = compare_html(&[sample::run(), sample::run()]);
    assert!(page.contains("no figure better, 0 worse") && !page.contains("Cautions"));
}

/// Writes the pages to look at them: `TERTULIA_PAGES=/tmp/pages cargo test --lib pages_can_be_looked_at`.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = env::var_os("TERTULIA_PAGES").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(&folder).unwrap();
    let mut long = sample::run();
    long.about.profile = "soak".to_owned();
    let points = long.series.clone();
    long.series = (0..10_800).map(|n| Point { at_s: n as f64, ..points[n % points.len()] }).collect();
    long.stages.truncate(0);
    let pages = [
        ("held", html(&sample::run())),
        ("broken", html(&sample::broken())),
        ("nasty", html(&sample::nasty())),
        ("long", html(&long)),
        ("silent", html(&bare().swap_remove(1))),
        ("compare", compare_html(&[sample::run(), sample::slower()])),
        ("compare3", compare_html(&[sample::run(), sample::slower(), sample::broken()])),
    ];
    for (name, page) in pages {
        fs::write(folder.join(format!("{name}.html")), page).unwrap();
    }
    fs::write(folder.join("table.txt"), table(&sample::broken(), false)).unwrap();
    let runs = [sample::run(), sample::slower()];
    fs::write(folder.join("compare.txt"), compare_table(&runs, false)).unwrap();
}
