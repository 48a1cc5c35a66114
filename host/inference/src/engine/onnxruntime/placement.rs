//! Whether the wanted provider really runs a model. ONNX Runtime gives what a provider does not
//! take to the processor without a word, and before its version 24 of the interface says in its
//! log alone where the nodes went; a log that does not say it counts as not placed.

use std::sync::{Arc, Mutex, PoisonError};

use meshhost_core::inference::{InferenceError, InferenceErrorCode};
use ort::logging::LoggerFunction;

use crate::settings::Provider;

/// Providers that are kept: no session has more.
const PROVIDERS_MAX: usize = 16;

/// Which provider runs how many nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Placement(Arc<Mutex<Vec<(String, u64)>>>);

impl Placement {
    /// A logger that keeps what is said about nodes.
    pub(super) fn listener(&self) -> LoggerFunction {
        let placement = self.clone();
        Arc::new(move |_level, _category, _id, _location, message: &str| {
            if let Some(placed) = parse(message) {
                placement.add(placed);
            }
        })
    }

    fn add(&self, placed: (String, u64)) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() < PROVIDERS_MAX {
            nodes.push(placed);
        }
    }

    pub(super) fn nodes(&self) -> Vec<(String, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the provider runs the model: it must have been given nodes, and, where it does not
    /// make one node out of many, at least as many as all others together.
    pub(super) fn assert(&self, provider: Provider) -> Result<(), InferenceError> {
        // Without another provider there is none but the processor.
        if provider == Provider::Cpu {
            return Ok(());
        }
        let nodes = self.nodes();
        let own: u64 =
            nodes.iter().filter(|(name, _)| name == name_of(provider)).map(|it| it.1).sum();
        let all: u64 = nodes.iter().map(|(_, count)| count).sum();
        let fuses = matches!(provider, Provider::Tensorrt | Provider::Coreml | Provider::Openvino);
        if own > 0 && (fuses || own * 2 >= all) {
            return Ok(());
        }
        let message = format!(
            "`{provider}` runs {own} of the {all} parts of the model, and the rest would run on \
             the processor: choose another provider for it"
        );
        Err(InferenceError::new(InferenceErrorCode::Failed, &message))
    }
}

const fn name_of(provider: Provider) -> &'static str {
    match provider {
        Provider::Cpu => "CPUExecutionProvider",
        Provider::Cuda => "CUDAExecutionProvider",
        Provider::Tensorrt => "TensorrtExecutionProvider",
        Provider::Coreml => "CoreMLExecutionProvider",
        Provider::Directml => "DmlExecutionProvider",
        Provider::Openvino => "OpenVINOExecutionProvider",
    }
}

/// ` All nodes placed on [CPUExecutionProvider]. Number of nodes: 12`
fn parse(message: &str) -> Option<(String, u64)> {
    let (_, rest) = message.split_once("placed on [")?;
    let (provider, rest) = rest.split_once(']')?;
    let (_, count) = rest.split_once("Number of nodes: ")?;
    Some((provider.to_owned(), count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(lines: &[&str]) -> Placement {
        let placement = Placement::default();
        lines.iter().filter_map(|line| parse(line)).for_each(|it| placement.add(it));
        placement
    }

    #[test]
    fn a_provider_that_runs_little_or_nothing_is_not_accepted() {
        let cuda = " Node(s) placed on [CUDAExecutionProvider]. Number of nodes: 5";
        let few = " Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2";
        let many = " Node(s) placed on [CPUExecutionProvider]. Number of nodes: 50";
        let all = " All nodes placed on [CPUExecutionProvider]. Number of nodes: 55";
        let tensorrt = " Node(s) placed on [TensorrtExecutionProvider]. Number of nodes: 1";
        for (lines, provider, accepted) in [
            (&[cuda, few][..], Provider::Cuda, true),
            (&[cuda, many], Provider::Cuda, false),
            (&[all], Provider::Cuda, false),
            (&[], Provider::Cuda, false),
            (&["something else"], Provider::Cuda, false),
            (&[tensorrt, few], Provider::Tensorrt, true),
            (&[cuda, few], Provider::Tensorrt, false),
            (&[], Provider::Cpu, true),
        ] {
            assert_eq!(placed(lines).assert(provider).is_ok(), accepted, "{lines:?} {provider}");
        }
    }
}
