// SPDX-License-Identifier: GPL-2.0

//! Formats of the lines of `attr` about past sessions and failed arcs.

use crate::history::{
    role_name,
    FailedArc,
    SessionEntry,
    Step, //
};
use kernel::{
    fmt,
    prelude::*, //
};
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.arc.ends();
        write!(
            f,
            "{}>{}:{}:{}",
            from.name(),
            to.name(),
            self.duration,
            self.errno
        )
    }
}

impl fmt::Display for SessionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!(
            "session={} role={} source={} begin={}",
            self.id,
            role_name(self.role),
            self.origin.name(),
            self.begin
        ))?;
        match self.end {
            Some((end, bytes)) => f.write_fmt(fmt!(" end={} bytes={}", end, bytes))?,
            None => f.write_str(" end=- bytes=-")?,
        }
        match self.refused {
            Some(reject) => f.write_fmt(fmt!(
                " refused={}:{:#x}:{:#x}",
                reject.field.name(),
                reject.expected,
                reject.got
            ))?,
            None => f.write_str(" refused=-")?,
        }
        f.write_str(" arcs=")?;
        if self.steps.iter().next().is_none() {
            f.write_str("-")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            step.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for FailedArc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("time={}", self.time))?;
        match self.session {
            Some(id) => f.write_fmt(fmt!(" session={id}"))?,
            None => f.write_str(" session=-")?,
        }
        let (from, to) = self.arc.ends();
        f.write_fmt(fmt!(
            " arc={}>{} errno={} ",
            from.name(),
            to.name(),
            -self.error.to_errno(),
        ))?;
        match &self.registers {
            Some(registers) => registers.fmt(f),
            None => f.write_str("registers=unknown"),
        }
    }
}

#[kernel::prelude::kunit_tests(hisi_acc_rs_sessions)]
mod tests {
    use super::*;
    use kernel::str::CString;
    use vfio::migration::MigArc;

    #[test]
    fn step_names_arc_duration_and_errno() -> Result {
        let step = |errno| Step {
            arc: MigArc::StopToStopCopy,
            duration: 12,
            errno,
        };
        let text = CString::try_from_fmt(fmt!("{}", step(0)))?;
        assert_eq!(text.to_bytes(), b"STOP>STOP_COPY:12:0");
        let text = CString::try_from_fmt(fmt!("{}", step(5)))?;
        assert_eq!(text.to_bytes(), b"STOP>STOP_COPY:12:5");
        Ok(())
    }
}
