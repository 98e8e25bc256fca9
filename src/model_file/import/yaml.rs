//! YAML as a tree, for configurations of unknown origin. An alias shares the node that it names, so
//! a tree's size is in proportion to its text.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

use crate::error::{Error, Result};
use crate::fs;

/// The most bytes of a configuration.
const MOST_BYTES: u64 = 1 << 20;
/// The deepest nesting, including that through aliases: trees are dropped by recursion.
const DEEPEST: usize = 64;
/// The most entries that merge keys may add to the maps of a file.
const MOST_MERGED: usize = 10_000;

/// A value of a configuration.
#[derive(Debug)]
pub(super) struct Node {
    /// Its line, from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
    /// Levels from here down.
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// One value, of whatever type its reader wants.
    Scalar {
        /// As written, without quotes.
        text: String,
        /// Whether it was written without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Rc<Node>>),
    /// A mapping.
    Map(Entries),
}

/// Keys and values, in the file's order, each key once.
pub(super) type Entries = Vec<(String, Rc<Node>)>;

/// A line, and what is wrong there.
type Fault = (usize, String);

/// The tree of a file.
///
/// # Errors
/// Files that are too large, are not YAML, or hold more or less than one document.
pub(super) fn read(path: &Path) -> Result<Rc<Node>> {
    let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
    if bytes > MOST_BYTES {
        return Err(Error::file(
            path,
            format!("{bytes} bytes: no configuration has more than {MOST_BYTES}"),
        ));
    }
    let text = fs::read_to_string(path)?;
    let mut parser = Parser::new_from_str(&text);
    let mut tree = Tree::default();
    loop {
        let (event, mark) = parser
            .next_token()
            .map_err(|e| Error::line(path, e.marker().line(), format!("not YAML: {}", e.info())))?;
        if event == Event::StreamEnd {
            break;
        }
        tree.event(event, mark.line()).map_err(|(line, what)| Error::line(path, line, what))?;
    }
    tree.root.ok_or_else(|| Error::file(path, "an empty configuration"))
}

/// A list or a map whose end has not been read.
struct Open {
    line: usize,
    anchor: usize,
    content: Content,
}

/// What of it has been read.
enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Entries,
        /// The key whose value comes next.
        key: Option<String>,
    },
}

/// A tree while its events are read.
#[derive(Default)]
struct Tree {
    root: Option<Rc<Node>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    merged: usize,
}

impl Tree {
    fn event(&mut self, event: Event, line: usize) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart => match self.root {
                None => Ok(()),
                Some(_) => Err((line, "a second document; a configuration has one".into())),
            },
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text, plain: style == TScalarStyle::Plain };
                self.add(Node { line, value, depth: 1 }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(line, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.start(line, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    let node = self.close(open)?;
                    self.add(node, anchor)
                }
                None => Err((line, "not YAML: an end without a beginning".into())),
            },
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => self.place(node, line),
                None => Err((line, "an alias within the node that it names".into())),
            },
        }
    }

    fn start(&mut self, line: usize, anchor: usize, content: Content) -> Result<(), Fault> {
        if self.open.len() == DEEPEST {
            return Err(too_deep(line));
        }
        self.open.push(Open { line, anchor, content });
        Ok(())
    }

    fn close(&mut self, open: Open) -> Result<Node, Fault> {
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(self.merge(entries)?),
        };
        let below = match &value {
            Value::Scalar { .. } => None,
            Value::List(items) => items.iter().map(|n| n.depth).max(),
            Value::Map(entries) => entries.iter().map(|(_, n)| n.depth).max(),
        };
        let depth = 1 + below.unwrap_or(0);
        match depth > DEEPEST {
            true => Err(too_deep(open.line)),
            false => Ok(Node { line: open.line, value, depth }),
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        let (line, node) = (node.line, Rc::new(node));
        // The parser numbers anchors from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, line)
    }

    /// Adds a finished node to the innermost open one.
    fn place(&mut self, node: Rc<Node>, line: usize) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                Some(name) => entries.push((name, node)),
                None => match &node.value {
                    Value::Scalar { text, .. } => *key = Some(text.clone()),
                    Value::List(_) | Value::Map(_) => {
                        return Err((line, "a key that is not text".into()));
                    }
                },
            },
        }
        Ok(())
    }

    /// Refuses repeated keys, and adds the entries of `<<` whose keys the map does not have.
    fn merge(&mut self, entries: Entries) -> Result<Entries, Fault> {
        let (sources, mut entries): (Entries, Entries) =
            entries.into_iter().partition(|(key, _)| key == "<<");
        let mut keys = HashSet::new();
        for (key, node) in &entries {
            if !keys.insert(key.clone()) {
                return Err((node.line, format!("`{key}` stands twice in this map")));
            }
        }
        for (_, source) in sources {
            let maps = match &source.value {
                Value::List(items) => items.clone(),
                Value::Scalar { .. } | Value::Map(_) => vec![source.clone()],
            };
            for map in maps {
                let Value::Map(more) = &map.value else {
                    return Err((map.line, "`<<` merges maps, and this is none".into()));
                };
                self.merged += more.len();
                if self.merged > MOST_MERGED {
                    return Err((map.line, format!("`<<` merges more than {MOST_MERGED} entries")));
                }
                entries.extend(more.iter().filter(|(key, _)| keys.insert(key.clone())).cloned());
            }
        }
        Ok(entries)
    }
}

fn too_deep(line: usize) -> Fault {
    (line, format!("nested deeper than {DEEPEST} levels"))
}

#[cfg(test)]
mod tests;
