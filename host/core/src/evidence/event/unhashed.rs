//! The fields of an event that the protocol's hash leaves out, as canonical text.

use super::{Draft, Reason};
use crate::{
    evidence::{
        canonical::{write_text, write_u64},
        fact::{bounded, write_key},
    },
    invocation::Subject,
};

/// The canonical text of the fields that the protocol's hash leaves out. Each stands twice in an
/// event: where the protocol wants it, and inside the payload under `bound`, which is hashed.
#[derive(Debug, Clone, Default)]
pub(in crate::evidence) struct Unhashed {
    pub(in crate::evidence) capability_version: String,
    pub(in crate::evidence) correlation: String,
    pub(in crate::evidence) denial: String,
    pub(in crate::evidence) error: String,
    pub(in crate::evidence) sequence: String,
    pub(in crate::evidence) subject: String,
}

/// How much assurance an event claims: the protocol's lowest level, nothing outside the host.
const ASSURANCE: &str = r#"{"level": "S1"}"#;

impl Unhashed {
    /// Writes the fields of `draft`.
    pub(in crate::evidence) fn fill(&mut self, draft: &Draft, sequence: u64) {
        self.clear();
        let context = &draft.context;
        write_optional(context.capability_version.as_deref(), &mut self.capability_version);
        context.correlation.write(&mut self.correlation);
        write_reason(draft.denial.as_ref(), &mut self.denial);
        write_reason(draft.error.as_ref(), &mut self.error);
        write_u64(sequence, &mut self.sequence);
        write_subject(&context.subject, &mut self.subject);
    }

    /// The texts.
    pub(in crate::evidence) fn fragments(&self) -> Fragments<'_> {
        Fragments {
            assurance: ASSURANCE,
            capability_version: &self.capability_version,
            correlation: &self.correlation,
            denial: &self.denial,
            error: &self.error,
            sequence: &self.sequence,
            subject: &self.subject,
        }
    }

    fn clear(&mut self) {
        for part in [
            &mut self.capability_version,
            &mut self.correlation,
            &mut self.denial,
            &mut self.error,
            &mut self.sequence,
            &mut self.subject,
        ] {
            part.clear();
        }
    }
}

/// The texts of [`Unhashed`], or those that stand in a stored event.
#[derive(Debug, Clone, Copy)]
pub(in crate::evidence) struct Fragments<'a> {
    pub(in crate::evidence) assurance: &'a str,
    pub(in crate::evidence) capability_version: &'a str,
    pub(in crate::evidence) correlation: &'a str,
    pub(in crate::evidence) denial: &'a str,
    pub(in crate::evidence) error: &'a str,
    pub(in crate::evidence) sequence: &'a str,
    pub(in crate::evidence) subject: &'a str,
}

impl Fragments<'_> {
    /// Appends the object that the payload repeats.
    pub(in crate::evidence) fn write_bound(&self, out: &mut String) {
        let parts = [
            ("{\"assurance\": ", self.assurance),
            (", \"capability_version\": ", self.capability_version),
            (", \"correlation\": ", self.correlation),
            (", \"denial\": ", self.denial),
            (", \"error\": ", self.error),
            (", \"redacted\": true, \"sequence\": ", self.sequence),
            (", \"subject\": ", self.subject),
        ];
        for (key, value) in parts {
            out.push_str(key);
            out.push_str(value);
        }
        out.push('}');
    }
}

/// Appends text or null.
pub(in crate::evidence) fn write_optional(text: Option<&str>, out: &mut String) {
    match text {
        Some(text) => write_text(text, out),
        None => out.push_str("null"),
    }
}

fn write_reason(reason: Option<&Reason>, out: &mut String) {
    match reason {
        Some(reason) => reason.write(out),
        None => out.push_str("null"),
    }
}

fn write_subject(subject: &Subject, out: &mut String) {
    out.push('{');
    write_key("id", out);
    write_text(&bounded(subject.id.clone().into()), out);
    out.push_str(", ");
    write_key("type", out);
    write_text(&bounded(subject.kind.clone().into()), out);
    out.push_str(", ");
    write_key("verified", out);
    out.push_str(if subject.verified { "true}" } else { "false}" });
}
