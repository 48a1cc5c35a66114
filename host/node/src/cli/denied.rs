//! What was denied during a call, as something that can be granted. A plugin that opens a file is
//! denied that file, but folders are granted: the folder that holds it is looked up here, in the
//! command's own process, and never by the node, which touches no path that a guest chose.

use std::path::Path;

use meshhost_core::permission::Permission;

use crate::{api::CallReply, node::calls::granting_command};

/// Puts the nearest folder in the place of each file that was denied, once per permission.
pub(crate) fn name_folders(call: &mut CallReply) {
    let Some(plugin) = call.plugin.clone() else { return };
    for denied in &mut call.denied {
        let found = denied.access.permission.as_deref().and_then(in_folder);
        if let Some(permission) = found {
            denied.command = Some(granting_command(&plugin, &permission));
            denied.access.permission = Some(permission);
        }
    }
    let mut seen = Vec::new();
    call.denied.retain(|denied| {
        let permission = denied.access.permission.clone();
        let new = permission.is_none() || !seen.contains(&permission);
        seen.push(permission);
        new
    });
}

/// The permission for the folder around what `permission` names, when that is no folder itself.
fn in_folder(permission: &str) -> Option<String> {
    let Ok(Permission::Folder { mode, guest: None, host: Some(host) }) = permission.parse() else {
        return None;
    };
    let path = Path::new(&host);
    let folder = path.ancestors().find(|folder| folder.is_dir())?;
    // Nobody is advised to grant everything.
    if folder == path || folder.parent().is_none() {
        return None;
    }
    let host = Some(folder.to_str()?.to_owned());
    Some(Permission::Folder { mode, guest: None, host }.to_string())
}

#[cfg(test)]
mod tests {
    use meshhost_core::outcome::{DeniedAccess, OutcomeKind};

    use super::*;
    use crate::{api::DeniedView, cli::fixture};

    #[test]
    fn a_file_is_granted_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        let whole = format!("fs:ro={path}");
        for inside in ["a", "b", "c/d"] {
            assert_eq!(in_folder(&format!("{whole}/{inside}")), Some(whole.clone()));
        }
        for other in [whole.as_str(), "fs:ro=/no-such-thing/x", "fs:ro=/d=/x/y", "clock"] {
            assert_eq!(in_folder(other), None, "{other}");
        }
        let mut call = fixture::call_reply(OutcomeKind::Failure, None);
        let view = |inside| DeniedView {
            access: DeniedAccess {
                permission: Some(format!("{whole}/{inside}")),
                function: "wasi:filesystem/types#open-at".to_owned(),
                target: format!("{path}/{inside}"),
            },
            command: None,
        };
        call.denied = vec![view("a"), view("b")];
        name_folders(&mut call);
        let [only] = call.denied.as_slice() else { panic!("{:?}", call.denied) };
        assert_eq!(only.access.permission.as_ref(), Some(&whole));
        assert!(only.command.as_ref().unwrap().ends_with(&whole));
    }
}
