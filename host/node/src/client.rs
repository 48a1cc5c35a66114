//! The other end of the admin socket, and the choice between it and a node in this process.
