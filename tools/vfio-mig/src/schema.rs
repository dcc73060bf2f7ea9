// SPDX-License-Identifier: GPL-2.0

//! The schema of the JSON answers, made from the types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::answer::VERSION;
use crate::commands::check::Check;
use crate::commands::compare::Compare;
use crate::commands::decode::Decode;
use crate::commands::explain::Explain;
use crate::commands::list::List;
use crate::commands::report::Report;
use crate::commands::show::Show;
use crate::commands::watch::Event;

/// The schema of a command's answer.
fn of<T: JsonSchema>(command: &str) -> Value {
    // Answers are written, not read: a value that may be missing is null then.
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    // An answer that has several forms has no properties in common.
    for (member, empty) in [("properties", json!({})), ("required", json!([]))] {
        if schema.get(member).is_none() {
            schema[member] = empty;
        }
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("command".to_owned(), json!({ "const": command }));
        properties.insert("version".to_owned(), json!({ "const": VERSION }));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.extend([json!("command"), json!("version")]);
    }
    schema
}

/// The schemas of all commands, by their names.
pub fn all() -> Value {
    let schemas = [
        ("check", of::<Check>("check")),
        ("compare", of::<Compare>("compare")),
        ("decode", of::<Decode>("decode")),
        ("explain", of::<Explain>("explain")),
        ("list", of::<List>("list")),
        ("report", of::<Report>("report")),
        ("show", of::<Show>("show")),
        ("watch", of::<Event>("watch")),
    ];
    let commands: Map<String, Value> = schemas
        .into_iter()
        .map(|(command, schema)| (command.to_owned(), schema))
        .collect();
    Value::Object(commands)
}
