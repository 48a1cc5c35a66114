//! How this node runs models: its configuration as the supervisor of the process that runs them
//! takes it, and which engine that comes to. The process is this very binary.

use std::{ffi::OsString, path::Path, thread::available_parallelism, time::Duration};

use meshhost_core::{
    code::Code,
    config::{InferenceConfig, InferenceEngines, InferenceProvider},
    outcome::Refusal,
};
use meshhost_inference::{Program, Settings, library};

use crate::{
    allocator::CHILD_ENVIRONMENT,
    api::{RuntimeView, Runtimes},
    sys,
};

/// The hidden subcommand of the process.
pub const SUBCOMMAND: &str = "inference-child";
/// What an engine on another device than the processor reads of the environment.
const ENVIRONMENT: [&str; 2] = ["LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"];

/// The settings that a configuration means on this machine. `runtimes` is the folder of libraries
/// in the data directory.
///
/// # Errors
/// When the file of this program cannot be found.
pub fn settings(config: &InferenceConfig, runtimes: &Path) -> Result<Settings, Refusal> {
    let path = sys::own_program().ok_or_else(|| {
        Refusal::new(Code::HostFault, "the program's own file cannot be found to run models with")
    })?;
    let variable = sys::environment("ORT_DYLIB_PATH");
    let libraries = library::candidates(
        config.library.as_deref(),
        variable.as_deref().map(Path::new),
        runtimes,
        Some(&path),
    );
    let environment = environment(config.provider, sys::environment_as_set);
    let program = Program { path, arguments: vec![SUBCOMMAND.into()], environment };
    let threads = config.threads.unwrap_or_else(|| {
        available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok()).unwrap_or(1)
    });
    let default = Settings::new(program, libraries, threads);
    Ok(Settings {
        engines: config.engines,
        provider: config.provider,
        sessions: config.sessions,
        memory_bytes: config.memory_bytes,
        model_bytes: config.model_bytes,
        output_bytes: config.output_bytes,
        calls: config.calls,
        load: Duration::from_millis(config.load_ms),
        run: Duration::from_millis(config.run_ms),
        idle: Duration::from_millis(config.idle_ms),
        ..default
    })
}

/// The child's environment. An empty `CUDA_VISIBLE_DEVICES` hides every card, so it is handed on.
fn environment(
    provider: InferenceProvider,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<(OsString, OsString)> {
    let set = |name| Some((OsString::from(name), OsString::from(variable(name)?)));
    let device =
        ENVIRONMENT.into_iter().filter(|_| provider != InferenceProvider::Cpu).filter_map(set);
    let (name, value) = CHILD_ENVIRONMENT;
    device.chain([(name.into(), value.into())]).collect()
}

/// The engines that can run models here, by opening each library in a child process until one can
/// be used. Blocks for as long as that takes.
#[must_use]
pub fn runtimes(settings: &Settings, allowed: InferenceEngines) -> Runtimes {
    let mut runtimes = Vec::new();
    if allowed != InferenceEngines::Embedded {
        for probed in library::probe_all(&settings.program, &settings.libraries, settings.provider)
        {
            let problem = probed.result.as_ref().err().map(ToString::to_string);
            runtimes.push(RuntimeView {
                engine: InferenceEngines::OnnxRuntime.name().to_owned(),
                library: Some(probed.library.display().to_string()),
                used: problem.is_none(),
                version: probed.result.ok(),
                problem,
            });
        }
    }
    let problem = if allowed == InferenceEngines::OnnxRuntime {
        Some("the configuration allows ONNX Runtime alone".to_owned())
    } else if settings.provider != InferenceProvider::Cpu {
        Some(format!("it runs on the processor alone, not on {}", settings.provider))
    } else {
        None
    };
    runtimes.push(RuntimeView {
        engine: InferenceEngines::Embedded.name().to_owned(),
        library: None,
        version: None,
        used: problem.is_none() && !runtimes.iter().any(|runtime| runtime.used),
        problem,
    });
    Runtimes {
        engines: allowed.name().to_owned(),
        provider: settings.provider.to_string(),
        runtimes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(config: &InferenceConfig) -> (Vec<RuntimeView>, Option<String>) {
        let settings = settings(config, Path::new("/nowhere")).unwrap();
        let found = runtimes(&settings, config.engines).runtimes;
        let used = found.iter().find(|one| one.used).map(|one| one.engine.clone());
        (found, used)
    }

    #[test]
    fn a_library_that_is_not_there_leaves_the_embedded_engine() {
        let library = Some("/nowhere/libonnxruntime.so".into());
        let config = InferenceConfig { library, ..InferenceConfig::DEFAULT };
        let (found, engine) = used(&config);
        assert_eq!(engine.as_deref(), Some("embedded"));
        let problem = found[0].problem.as_deref().unwrap_or_default();
        assert!(problem.contains("no such file"), "{problem}");
    }

    #[test]
    fn what_the_configuration_excludes_is_not_used() {
        let embedded = InferenceEngines::Embedded;
        let config = InferenceConfig { engines: embedded, ..InferenceConfig::DEFAULT };
        let (found, engine) = used(&config);
        assert_eq!((found.len(), engine.as_deref()), (1, Some("embedded")));
        let library = Some(std::path::PathBuf::from("/nowhere/libonnxruntime.so"));
        for config in [
            InferenceConfig {
                engines: InferenceEngines::OnnxRuntime,
                library: library.clone(),
                ..InferenceConfig::DEFAULT
            },
            InferenceConfig {
                provider: InferenceProvider::Cuda,
                library,
                ..InferenceConfig::DEFAULT
            },
        ] {
            let (found, engine) = used(&config);
            assert_eq!((found.len(), engine), (2, None));
            assert!(found.iter().all(|one| one.problem.is_some()));
        }
    }

    #[test]
    fn a_graphics_card_is_found_and_hidden_as_for_the_node() {
        let variable = |name: &str| match name {
            "LD_LIBRARY_PATH" => Some("/opt/cuda/lib".to_owned()),
            "CUDA_VISIBLE_DEVICES" => Some(String::new()),
            _ => Some("secret".to_owned()),
        };
        let of = |provider| {
            let environment = environment(provider, variable);
            environment
                .into_iter()
                .filter(|(name, _)| *name != *CHILD_ENVIRONMENT.0)
                .collect::<Vec<_>>()
        };
        let expected: Vec<(OsString, OsString)> = vec![
            ("LD_LIBRARY_PATH".into(), "/opt/cuda/lib".into()),
            ("CUDA_VISIBLE_DEVICES".into(), "".into()),
        ];
        assert_eq!(expected, of(InferenceProvider::Cuda));
        assert_eq!(Vec::<(OsString, OsString)>::new(), of(InferenceProvider::Cpu));
    }

    #[test]
    fn the_limits_of_the_configuration_arrive() {
        let config = InferenceConfig {
            threads: Some(3),
            memory_bytes: 1 << 30,
            run_ms: 1_500,
            ..InferenceConfig::DEFAULT
        };
        let settings = settings(&config, Path::new("/nowhere")).unwrap();
        assert_eq!((settings.threads, settings.memory_bytes), (3, 1 << 30));
        assert_eq!(settings.run, Duration::from_millis(1_500));
        assert_eq!(settings.program.arguments, [SUBCOMMAND]);
        let names: Vec<_> = settings.program.environment.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [CHILD_ENVIRONMENT.0], "the processor needs nothing of the node's");
    }
}
