//! The scanner alone, over clean bodies, in processor time of one core: what else the machine does is not counted.

use std::fmt::Write as _;
use std::sync::Arc;

use ::scan::{Detectors, Enabled, Known, Next, Rules, Shape, Stream};
use anyhow::bail;
use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::time::{ClockId, clock_gettime};

use crate::report::{Number, Report, median};

const RATE: &str = "scan_mb_per_s";
const SHORT: &str = "scan_10k_us";

const ROUNDS: usize = 15;
const BODY: usize = 4 << 20;
const SHORT_BODY: usize = 10 << 10;
const CHUNK: usize = 16 << 10;
/// Short bodies in one round.
const SHORT_BODIES: usize = 200;

/// Runs those benchmarks of this module that are wanted.
///
/// # Errors
/// The bodies are not clean, or the detectors cannot be built.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants(&[RATE, SHORT]) {
        return Ok(());
    }
    let mut random = StdRng::seed_from_u64(17);
    let known = (0..5).map(|n| Known {
        name: format!("SECRET_{n}").into(),
        value: Secret::new((0..40).map(|_| char::from(random.sample(rand::distr::Alphanumeric))).collect()),
        is_canary: n == 0,
    });
    let known = known.collect();
    let detectors = Arc::new(Detectors::new(Rules::standard(), known, Secret::new("bench".to_owned())));
    let body = body(&mut random);
    if report.wants(&[RATE]) {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let begun = processor_seconds();
            pass(&detectors, &body)?;
            rates.push(body.len() as f64 / 1e6 / (processor_seconds() - begun));
        }
        report.add(RATE, Number { value: median(rates), unit: "MB/s", over: None });
        for (kind, write) in KINDS {
            let text: String = (0..400).map(|_| write(&mut random)).collect();
            let begun = processor_seconds();
            pass(&detectors, text.as_bytes())?;
            report.remark(&format!(
                "{kind}: {:.0} MB/s",
                text.len() as f64 / 1e6 / (processor_seconds() - begun)
            ));
        }
    }
    if report.wants(&[SHORT]) {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = processor_seconds();
            for text in body.chunks_exact(SHORT_BODY).take(SHORT_BODIES) {
                if !detectors.scan(text, Enabled::default(), &Shape::Plain)?.is_empty() {
                    bail!("a clean body is not clean");
                }
            }
            times.push((processor_seconds() - begun) * 1e6 / SHORT_BODIES as f64);
        }
        report.add(SHORT, Number { value: median(times), unit: "µs", over: None });
    }
    Ok(())
}

/// Sends a body through a stream as a proxy does.
fn pass(detectors: &Arc<Detectors>, body: &[u8]) -> anyhow::Result<()> {
    let mut stream = Stream::new(Arc::clone(detectors), Enabled::default(), Shape::Plain);
    let mut left = 0;
    let mut chunks = body.chunks(CHUNK);
    loop {
        match stream.poll()? {
            Next::Bytes(bytes) => left += bytes.len(),
            Next::Finding(_) => bail!("a clean body is not clean"),
            Next::More => match chunks.next() {
                Some(chunk) => stream.push(chunk),
                None => stream.end(),
            },
            Next::End if left == body.len() => return Ok(()),
            Next::End => bail!("{left} of {} bytes left", body.len()),
        }
    }
}

fn processor_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// What agents send: conversations as JSON, with prose, source code, tool results, ids, hashes and now and then a picture.
fn body(random: &mut StdRng) -> Vec<u8> {
    let mut text = String::with_capacity(BODY + CHUNK);
    while text.len() < BODY {
        let content = match random.random_range(0..40) {
            0..20 => prose(random),
            20..34 => code(random),
            34..39 => listing(random),
            _ => picture(random),
        };
        let message = serde_json::json!({
            "role": if random.random() { "user" } else { "assistant" },
            "id": format!("msg_{:032x}", random.random::<u128>()),
            "content": [{ "type": "text", "text": content }],
            "usage": { "input_tokens": random.random_range(0..90_000), "output_tokens": random.random_range(0..4_000) },
        });
        // A String takes everything.
        let _ = writeln!(text, "{message}");
    }
    text.truncate(BODY);
    text.into_bytes()
}

/// Writes a piece of text of one kind.
type Writer = fn(&mut StdRng) -> String;

/// What the body consists of, each alone.
const KINDS: [(&str, Writer); 4] =
    [("prose", prose), ("code", code), ("hashes and paths", listing), ("pictures in base64", picture)];

const WORDS: [&str; 40] = [
    "the",
    "request",
    "was",
    "refused",
    "because",
    "a",
    "policy",
    "names",
    "no",
    "route",
    "for",
    "this",
    "host",
    "and",
    "an",
    "operator",
    "may",
    "add",
    "one",
    "while",
    "it",
    "runs",
    "so",
    "that",
    "tests",
    "pass",
    "again",
    "please",
    "look",
    "at",
    "file",
    "function",
    "parser",
    "returns",
    "error",
    "instead",
    "of",
    "empty",
    "list",
    "performance",
];

fn prose(random: &mut StdRng) -> String {
    let count = random.random_range(40..300);
    let words: Vec<&str> = (0..count).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
    words.chunks(14).map(|sentence| sentence.join(" ")).collect::<Vec<_>>().join(". ")
}

fn code(random: &mut StdRng) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(10..60) {
        let (a, b) = (WORDS[random.random_range(0..WORDS.len())], WORDS[random.random_range(0..WORDS.len())]);
        let number = random.random_range(0..5_000);
        let _ = write!(
            text,
            "    let {a}_{b} = self.{b}.get_{a}(&{a}, {number})?;\n    if {a}_{b}.is_empty() {{ return Err(\"no {a}\".into()); }}\n"
        );
    }
    text
}

fn listing(random: &mut StdRng) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(5..40) {
        let hash: [u64; 4] = random.random();
        let name = WORDS[random.random_range(0..WORDS.len())];
        let _ = writeln!(
            text,
            "{:016x}{:016x}{:016x}{:016x}  src/{name}/{name}.rs",
            hash[0], hash[1], hash[2], hash[3]
        );
    }
    text
}

fn picture(random: &mut StdRng) -> String {
    let bytes: Vec<u8> = (0..random.random_range(500..4_000)).map(|_| random.random()).collect();
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}
