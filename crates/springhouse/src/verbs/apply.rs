//! `springhouse pipeline apply`: a folder of SQL files as the truth about pipelines and alerts.
//!
//! The hub compares and says what is to be done, in which order; here files are read, the person is asked, and the
//! statements are sent one after the other.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use springhouse_engine::statement;

use crate::client::{Client, path_part};
use crate::failure::Failure;

const LONG: &str = "\
Reads the CREATE STREAM, TABLE, FUNCTION, PIPELINE and ALERT statements of all *.sql files in a folder, in whatever order they \
stand, compares them with the hub, shows what is to be done, asks, and does it. What is there and in no file is dropped, if \
it is a pipeline or an alert; streams, tables and functions are never dropped. A statement that differs only in white space, \
comments or case is unchanged. If any file is wrong nothing is changed, and the errors name file, line and column.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse pipeline apply pipelines/
  springhouse pipeline apply pipelines/ --yes
  springhouse pipeline apply pipelines/ --plan || echo 'the hub is not what the folder says'

EXIT CODES
  0  done, or there was nothing to do
  2  with --plan: there is something to do
  5  a statement is wrong, or the hub refused it";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// The folder; folders inside of it are not looked into
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what is to be done
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
}

/// A statement and the file that it stands in.
struct Written {
    file: PathBuf,
    sql: String,
}

#[derive(Deserialize)]
struct Plan {
    drops: Vec<Drop>,
    steps: Vec<Step>,
    errors: Vec<Wrong>,
}

#[derive(Deserialize)]
struct Drop {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Step {
    statement: usize,
    kind: String,
    name: String,
    change: String,
    functions: Vec<String>,
    keeps: Vec<String>,
    reads_again: Vec<String>,
    begins_empty: Vec<String>,
    gives_up: Vec<String>,
}

#[derive(Deserialize)]
struct Wrong {
    statement: usize,
    line: u64,
    column: u64,
    message: String,
}

pub fn carry_out(client: &Client, args: &Args) -> anyhow::Result<()> {
    let written = read(&args.directory)?;
    let statements: Vec<&str> = written.iter().map(|one| one.sql.as_str()).collect();
    let answer = client.post("/pipelines/plan", &json!({ "statements": statements }))?;
    let plan: Plan = serde_json::from_value(answer).context("the hub's plan is not what was asked for")?;
    if !plan.errors.is_empty() {
        let lines = plan.errors.iter().map(|wrong| wrong.text(&written));
        return Err(refused(lines));
    }
    plan.print(&written);
    let is_done = plan.changes() == 0;
    match (is_done, args.plan) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Pending.into()),
        (false, false) if args.yes || agreed()? => plan.carry_out(client, &written),
        (false, false) => {
            println!("nothing was changed");
            Ok(())
        }
    }
}

/// The statements of all files, by name of the file, each behind as many blanks as bring it to its place there.
fn read(directory: &Path) -> anyhow::Result<Vec<Written>> {
    let cannot = || format!("cannot read `{}`", directory.display());
    let entries = fs::read_dir(directory).with_context(cannot)?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().with_context(cannot)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql") && path.is_file());
    files.sort();
    if files.is_empty() {
        let text =
            format!("there is no .sql file in `{}`, which would drop every pipeline", directory.display());
        return Err(Failure::Refused(format!("{text}\nhint: name the folder that holds them")).into());
    }
    let (mut written, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        match statement::split(&text) {
            Ok(texts) => {
                written.extend(texts.into_iter().map(|sql| Written { file: file.clone(), sql }));
            }
            Err(error) => wrong.push(format!("{}: {error}", file.display())),
        }
    }
    if wrong.is_empty() { Ok(written) } else { Err(refused(wrong.into_iter())) }
}

fn refused(lines: impl Iterator<Item = String>) -> anyhow::Error {
    let lines: Vec<String> = lines.collect();
    Failure::Refused(format!("{}\nnothing was changed", lines.join("\n"))).into()
}

impl Wrong {
    fn text(&self, written: &[Written]) -> String {
        let file = written.get(self.statement).map(|one| one.file.display().to_string()).unwrap_or_default();
        format!("{file}: line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Step {
    fn is_change(&self) -> bool {
        self.change != "unchanged"
    }

    /// What becomes of the state of a pipeline that is replaced.
    fn state(&self) -> String {
        let parts = [
            ("takes", &self.functions),
            ("keeps the state of", &self.keeps),
            ("reads the log again", &self.reads_again),
            ("begins empty", &self.begins_empty),
            ("gives up the state of", &self.gives_up),
        ];
        let parts = parts.iter().filter(|(_, names)| self.change == "replace" && !names.is_empty());
        parts.map(|(words, names)| format!("; {words}: {}", names.join(" and "))).collect()
    }
}

impl Plan {
    fn changes(&self) -> usize {
        self.drops.len() + self.steps.iter().filter(|step| step.is_change()).count()
    }

    fn print(&self, written: &[Written]) {
        for Drop { kind, name } in &self.drops {
            println!("- drop {kind} `{name}`, which is in no file; its stream stays");
        }
        for step in self.steps.iter().filter(|step| step.is_change()) {
            let sign = if step.change == "create" { '+' } else { '~' };
            let file = written.get(step.statement).map(|one| one.file.display().to_string());
            let (change, kind, name) = (&step.change, &step.kind, &step.name);
            println!("{sign} {change} {kind} `{name}` ({}){}", file.unwrap_or_default(), step.state());
        }
        let unchanged = self.steps.iter().filter(|step| !step.is_change()).count();
        println!("{} to do, {unchanged} unchanged", self.changes());
    }

    /// First what goes: what comes may want its place.
    fn carry_out(&self, client: &Client, written: &[Written]) -> anyhow::Result<()> {
        for Drop { kind, name } in &self.drops {
            client.delete(&format!("/pipelines/{}", path_part(name)))?;
            println!("{kind} `{name}` is dropped");
        }
        for step in self.steps.iter().filter(|step| step.is_change()) {
            let Some(Written { file, sql }) = written.get(step.statement) else { continue };
            let sent = match step.kind.as_str() {
                "function" => client.post("/functions", &json!({ "sql": sql, "replace": true })),
                "stream" | "table" => client.post("/sql", &json!({ "query": sql })),
                _ => client.post("/pipelines", &json!({ "sql": sql, "replace": true })),
            };
            sent.with_context(|| format!("{} `{}` of `{}`", step.kind, step.name, file.display()))?;
            let done = if step.change == "create" { "is there" } else { "is replaced" };
            println!("{} `{}` {done}", step.kind, step.name);
        }
        Ok(())
    }
}

/// Asks whoever sits at the terminal.
fn agreed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        let text = "there is nobody to ask\nhint: --yes does it without asking, --plan only shows it";
        return Err(Failure::Usage(text.to_owned()).into());
    }
    print!("Do it? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
