//! `scan`: what the detectors find in a file, and where; never what it is (E16).

mod inbound;
mod lines;
mod outbound;
mod report;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use base::Secret;
use base::id::ExchangeId;
use scan::{Detectors, Enabled, Known, Rules, Shape};

use crate::args::{Direction, Scan};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::Format;
use report::Report;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Scans. Ends with [`Exit::No`] when something was found.
///
/// # Errors
/// The file cannot be read or judged, the rules are wrong, or a variable is not set.
pub fn run(args: &Scan) -> Result<Exit, Failure> {
    let (name, mut input) = open(&args.file)?;
    let mut report = Report::new(name, Format::from(args.format));
    match args.direction {
        Direction::Out => {
            let detectors = detectors(args)?;
            outbound::scan(&mut input, &detectors, &mut |found| report.secret(&found))?;
        }
        Direction::In => {
            if args.rules.is_some() || !args.known.is_empty() {
                let error = anyhow!("--rules and --known are about what leaves; leave out --direction in");
                return Err(Failure::new(Exit::Usage, error));
            }
            inbound::scan(&mut input, &mut |found| report.injection(&found))?;
        }
    }
    Ok(if report.end() { Exit::No } else { Exit::Ok })
}

/// The input and what it is called.
fn open(path: &Path) -> Result<(String, Box<dyn Read>), Failure> {
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(io::stdin())));
    }
    let name = base::inert(&path.to_string_lossy(), 4096);
    let file = File::open(path).with_context(|| format!("cannot open {name}")).or_exit(Exit::NotFound)?;
    Ok((name, Box::new(file)))
}

fn detectors(args: &Scan) -> Result<Arc<Detectors>, Failure> {
    let rules = args.rules.as_deref().map_or_else(|| Ok(Rules::standard()), rules)?;
    let known = args.known.iter().map(|variable| known(variable)).collect::<Result<_, _>>()?;
    // Digests are not shown, and need no more than to differ from run to run.
    let key = Secret::new(ExchangeId::random().to_string());
    Ok(Arc::new(Detectors::new(rules, known, key)))
}

/// The rules of a file in the gitleaks schema.
///
/// # Errors
/// It cannot be read, or is not valid: with file, line and rule.
pub(super) fn rules(path: &Path) -> Result<Arc<Rules>, Failure> {
    let name = base::inert(&path.to_string_lossy(), 4096);
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the rules {name}"));
    let text = text.or_exit(Exit::NotFound)?;
    Rules::parse(&text, &name).map(Arc::new).context("the rules are not valid").or_exit(Exit::Input)
}

/// The value of a variable, if it is one that can be looked for.
fn known(variable: &str) -> Result<Known, Failure> {
    let name = base::inert(variable, 80);
    let value = std::env::var(variable).map_err(|error| match error {
        std::env::VarError::NotPresent => anyhow!("the variable {name} is not set"),
        std::env::VarError::NotUnicode(_) => anyhow!("the value of {name} is not UTF-8"),
    });
    let value = Secret::new(value.or_exit(Exit::NotFound)?);
    let alone = |value: &Secret| Known { name: name.as_str().into(), value: value.clone(), is_canary: false };
    let itself = Detectors::new(
        Arc::new(Rules::parse("", "none").or_exit(Exit::Internal)?),
        vec![alone(&value)],
        Secret::new(name.clone()),
    );
    let found = itself.scan(value.expose().as_bytes(), Enabled::default(), &Shape::Plain);
    if found.or_exit(Exit::Input)?.is_empty() {
        let error =
            anyhow!("the value of {name} is too short to be looked for: it would be found everywhere");
        return Err(Failure::new(Exit::Input, error));
    }
    Ok(alone(&value))
}

/// Gives the input piece by piece.
fn pieces(input: &mut dyn Read, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(error).context("cannot read what is to be scanned").or_exit(Exit::Input);
            }
        }
    }
}
