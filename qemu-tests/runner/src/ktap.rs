// SPDX-License-Identifier: GPL-2.0

//! Reads KTAP 1 (`Documentation/dev-tools/ktap.rst` of the kernel), line by line.

/// One result line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Names from the outermost test to this one, joined by `/`.
    pub name: String,
    pub passed: bool,
    /// `# SKIP` and why.
    pub skipped: Option<String>,
    /// Diagnostic lines since the result before.
    pub diagnostics: Vec<String>,
    depth: usize,
}

/// A report as it comes in.
#[derive(Debug, Default)]
pub struct Report {
    points: Vec<Point>,
    planned: Option<usize>,
    bail_out: Option<String>,
    pending: Vec<String>,
    names: Vec<String>,
}

impl Report {
    /// Takes the next line, without its newline.
    pub fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(reason) = text.strip_prefix("Bail out!") {
            self.bail_out = Some(reason.trim().to_string());
        } else if let Some(rest) = text.strip_prefix("not ok ") {
            self.point(rest, false, depth);
        } else if let Some(rest) = text.strip_prefix("ok ") {
            self.point(rest, true, depth);
        } else if let Some(plan) = text.strip_prefix("1..") {
            if depth == 0 {
                self.planned = plan.split_whitespace().next().and_then(|n| n.parse().ok());
            }
        } else if let Some(name) = text.strip_prefix("# Subtest: ") {
            self.names.truncate(depth.saturating_sub(1));
            self.names.push(name.to_string());
        } else if let Some(diagnostic) = text.strip_prefix('#') {
            self.pending.push(diagnostic.trim().to_string());
        }
    }

    fn point(&mut self, rest: &str, ok: bool, depth: usize) {
        let (_, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let rest = rest.trim_start_matches("- ");
        let (name, directive) = match rest.split_once(" # ") {
            Some((name, directive)) => (name, Some(directive)),
            None => (rest, None),
        };
        let skipped = directive
            .and_then(|d| d.strip_prefix("SKIP"))
            .map(|why| why.trim().to_string());
        self.names.truncate(depth);
        let mut path = self.names.clone();
        path.push(name.to_string());
        self.points.push(Point {
            name: path.join("/"),
            passed: ok,
            skipped,
            diagnostics: std::mem::take(&mut self.pending),
            depth,
        });
    }

    /// All result lines so far.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The problems of the report: failures, a broken plan, nothing tested at all.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(reason) = &self.bail_out {
            problems.push(format!("bailed out: {reason}"));
        }
        for point in self.points.iter().filter(|p| !p.passed) {
            problems.push(format!("not ok: {}", point.name));
            problems.extend(point.diagnostics.iter().map(|d| format!("    {d}")));
        }
        let top = self.points.iter().filter(|p| p.depth == 0).count();
        match self.planned {
            None => problems.push("no plan line: the report is not complete".into()),
            Some(0) => problems.push("the report plans no test".into()),
            Some(n) if n != top => problems.push(format!("{n} results planned, {top} came")),
            Some(_) => {}
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    fn read(text: &str) -> Report {
        let mut report = Report::default();
        text.lines().for_each(|l| report.line(l));
        report
    }

    #[test]
    fn a_complete_report_has_no_problem() {
        let report = read("KTAP version 1\n1..2\nok 1 open\nok 2 - close # SKIP no device\n");
        assert!(report.problems().is_empty(), "{:?}", report.problems());
        assert_eq!(report.points()[1].skipped.as_deref(), Some("no device"));
    }

    #[test]
    fn a_failure_carries_its_diagnostics() {
        let report = read("1..1\n# expected 1, got 2\nnot ok 1 save\n");
        assert_eq!(report.problems(), ["not ok: save", "    expected 1, got 2"]);
    }

    #[test]
    fn what_did_not_come_is_missed() {
        assert!(!read("1..2\nok 1 open\n").problems().is_empty());
        assert!(!read("ok 1 open\n").problems().is_empty());
        assert!(!read("1..0\n").problems().is_empty());
        assert!(
            !read("1..1\nok 1 open\nBail out! no VF\n")
                .problems()
                .is_empty()
        );
    }

    #[test]
    fn a_subtest_is_named_by_its_parent_and_not_counted_in_the_plan() {
        let report = read(
            "KTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: wire\n  1..2\n  ok 1 size\n  not ok 2 order\nnot ok 1 wire\n",
        );
        assert_eq!(report.points()[1].name, "wire/order");
        assert_eq!(report.problems(), ["not ok: wire/order", "not ok: wire"]);
    }
}
