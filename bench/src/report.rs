//! Collects rows and writes them as Markdown, with the command, versions and machine that they belong to.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::Arguments;

pub struct Report {
    text: String,
}

impl Report {
    pub fn begin(arguments: &Arguments) -> Result<Report> {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `make bench`. Each table was measured in one run on one machine, the hub and its peers one after the \
             other; compare rows of one table, not tables of two machines.\n\n",
        );
        writeln!(text, "- command: `{}`", arguments.recipe)?;
        writeln!(text, "- date: {}", first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        writeln!(text, "- machine: {} × {}", cores(), cpu_model())?;
        writeln!(text, "- kernel: {}", first_line("uname", &["-sr"]))?;
        writeln!(
            text,
            "- springhouse: {}",
            first_line(&arguments.springhouse.to_string_lossy(), &["--version"])
        )?;
        writeln!(text, "- mosquitto: {}", first_line(&arguments.mosquitto.to_string_lossy(), &["-h"]))?;
        writeln!(text, "- load average at the start: {}", load_average())?;
        Ok(Report { text })
    }

    pub fn section(&mut self, title: &str, words: &str) {
        eprintln!("measuring: {title}");
        self.text.push_str(&format!("\n## {title}\n\n{words}\n\n"));
    }

    /// Behind something else of the same section it begins after an empty line.
    pub fn table(&mut self, columns: &[&str]) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        self.text.push_str(&format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len())));
    }

    pub fn row(&mut self, cells: &[String]) {
        eprintln!("  {}", cells.join(" | "));
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    /// A paragraph behind a table.
    pub fn words(&mut self, words: &str) {
        self.text.push_str(&format!("\n{words}\n"));
    }

    pub fn finish(self, out: Option<&Path>) -> Result<()> {
        match out {
            Some(path) => fs::write(path, self.text).context("cannot write the report"),
            None => {
                print!("{}", self.text);
                Ok(())
            }
        }
    }
}

/// The value below which `share` of the sorted values lie.
pub fn percentile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "not there".into(),
        |output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned(),
    )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split(':').nth(1).unwrap_or("unknown").trim().to_owned()
}

fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or("").to_owned()
}
