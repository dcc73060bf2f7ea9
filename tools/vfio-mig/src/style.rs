// SPDX-License-Identifier: GPL-2.0

//! Colours. They are removed when the text does not go to a terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// For what is right.
pub fn good(text: impl Display) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

/// For what may be wrong.
pub fn doubtful(text: impl Display) -> String {
    styled(AnsiColor::Yellow.on_default(), text)
}

/// For what is wrong.
pub fn bad(text: impl Display) -> String {
    styled(AnsiColor::Red.on_default().bold(), text)
}

/// For headings.
pub fn heading(text: impl Display) -> String {
    styled(Style::new().bold(), text)
}
