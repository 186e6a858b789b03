//! YAML as a small tree that knows where everything stands, and only the part of YAML that has one meaning: no
//! duplicate keys, anchors, aliases, tags or further documents, and no scalar that turned into something else.

use policy::problem::{KeyPath, Step};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::problem::Place;

const DEPTH: usize = 24;
const NODES: usize = 20_000;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A key without a value.
    Empty,
    /// The text as written. Only a plain one can be a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Pair>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// Something that is wrong, before its file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) at: KeyPath,
    pub(crate) message: String,
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Pair> {
        match &self.value {
            Value::Map(pairs) => pairs.iter().find(|pair| pair.key == key),
            _ => None,
        }
    }

    /// Where the thing at a path stands: its key, or the item; for what is not there, the nearest thing around it.
    pub(crate) fn locate(&self, path: &KeyPath) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path.steps() {
            match (step, &node.value) {
                (Step::Key(key), Value::Map(_)) => {
                    let Some(pair) = node.get(key) else { return place };
                    (node, place) = (&pair.value, pair.key_place);
                }
                (Step::Item(index), Value::List(items)) => {
                    let Some(item) = items.get(*index) else { return place };
                    (node, place) = (item, item.place);
                }
                _ => return place,
            }
        }
        place
    }
}

/// Reads one document. `line_offset` is added to every line.
///
/// What is read up to the first error of syntax is returned even if something is wrong, so that the rest can be
/// checked as well; a faulty tree must not be used for more than that.
pub(crate) fn parse(yaml: &str, line_offset: usize) -> (Node, Vec<Fault>) {
    let mut builder = Builder { line_offset, ..Builder::default() };
    for event in Parser::new_from_str(yaml) {
        match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let place = builder.place(error.marker().line(), error.marker().col());
                builder.fault(place, format!("this is not YAML: {}", base::inert(error.info(), 200)));
                break;
            }
        }
        if builder.overfull {
            break;
        }
    }
    builder.finish()
}

#[derive(Default)]
struct Builder {
    line_offset: usize,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    overfull: bool,
    faults: Vec<Fault>,
}

struct Open {
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { pairs: Vec<Pair>, key: Key },
}

/// The key whose value comes next.
enum Key {
    Wanted,
    Given(String, Place),
    /// It was no text; its value is dropped.
    Unusable,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) {
        let place = self.place(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.fault(place, "a second document begins here; a file has one");
                }
            }
            Event::Alias(_) => {
                self.fault(place, "aliases are not accepted; write the value out");
                self.close(Node { place, value: Value::Empty });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(place, anchor, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                let empty = plain && text.is_empty();
                let value =
                    if empty { Value::Empty } else { Value::Scalar { text: text.into_owned(), plain } };
                self.close(Node { place, value });
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(place, anchor, tag.is_some());
                self.open(place, Content::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(place, anchor, tag.is_some());
                self.open(place, Content::Map { pairs: Vec::new(), key: Key::Wanted });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn place(&self, line: usize, column: usize) -> Place {
        Place { line: line + self.line_offset, column: column + 1 }
    }

    fn refuse(&mut self, place: Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.fault(place, "anchors are not accepted; write the value where it is needed");
        }
        if tagged {
            self.fault(place, "tags are not accepted; the key alone says what its value is");
        }
    }

    fn open(&mut self, place: Place, content: Content) {
        if self.open.len() == DEPTH {
            self.fault(place, "this is nested too deeply");
            self.overfull = true;
        }
        self.open.push(Open { place, content });
    }

    fn end(&mut self) {
        let Some(Open { place, content }) = self.open.pop() else { return };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { pairs, .. } => Value::Map(pairs),
        };
        self.close(Node { place, value });
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, node: Node) {
        self.nodes += 1;
        if self.nodes > NODES {
            self.fault(node.place, "too many values in one file");
            self.overfull = true;
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None if self.documents <= 1 => self.root = Some(node),
            None => {}
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { pairs, key }) => match std::mem::replace(key, Key::Wanted) {
                Key::Unusable => {}
                Key::Given(key, key_place) => {
                    let first = pairs.iter().find(|pair| pair.key == key).map(|pair| pair.key_place);
                    let at = first.map(|_| key.clone());
                    pairs.push(Pair { key, key_place, value: node });
                    if let (Some(first), Some(key)) = (first, at) {
                        let at = self.path().key(&key);
                        let message = format!("this key stands in line {} already", first.line);
                        self.faults.push(Fault { place: key_place, at, message });
                    }
                }
                Key::Wanted => match node.value {
                    Value::Scalar { text, .. } => *key = Key::Given(text, node.place),
                    _ => {
                        *key = Key::Unusable;
                        self.fault(node.place, "a key is one word or a quoted text");
                    }
                },
            },
        }
    }

    fn fault(&mut self, place: Place, message: impl Into<String>) {
        let at = self.path();
        self.faults.push(Fault { place, at, message: message.into() });
    }

    /// Where the reader is.
    fn path(&self) -> KeyPath {
        self.open.iter().fold(KeyPath::root(), |path, open| match &open.content {
            Content::List(items) => path.item(items.len()),
            Content::Map { key: Key::Given(key, _), .. } => path.key(key),
            Content::Map { .. } => path,
        })
    }

    fn finish(mut self) -> (Node, Vec<Fault>) {
        while !self.open.is_empty() {
            self.end();
        }
        let empty =
            Node { place: Place { line: 1 + self.line_offset, column: 1 }, value: Value::Map(Vec::new()) };
        let root = self.root.take().filter(|node| node.value != Value::Empty).unwrap_or(empty);
        (root, self.faults)
    }
}
